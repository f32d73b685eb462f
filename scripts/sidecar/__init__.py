"""What the checks beside real Prometheus servers and Alertmanagers share."""
