//! Text of strangers for a terminal: nothing in it may move the cursor, change colours, or pretend
//! to be something else.

use std::fmt;

/// Longest text shown, in characters; the rest is left out with a mark.
const SHOWN_MAX: usize = 200;

/// Shows a text with control characters, and those that turn or hide text, written as escapes.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (count, c) in self.0.chars().enumerate() {
            if count == SHOWN_MAX {
                text.push('…');
                break;
            }
            if is_harmful(c) {
                text.extend(c.escape_unicode());
            } else {
                text.push(c);
            }
        }
        f.pad(&text)
    }
}

/// Control characters, line breaks of Unicode, and marks of direction and of no width.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let shown = |text| Plain(text).to_string();
        assert_eq!(shown("größe → ok"), "größe → ok");
        assert_eq!(shown("a\u{1b}[31mb\r\n\t"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{9}");
        assert_eq!(shown("a\u{9b}31m\u{202e}b\u{7f}"), "a\\u{9b}31m\\u{202e}b\\u{7f}");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(format!("{:<4}|{:>3}", Plain("ab"), Plain("c")), "ab  |  c");
    }
}
