mod golden;
mod nasty;
mod one_graph;
