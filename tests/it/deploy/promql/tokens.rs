//! PromQL cut into tokens.

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Number,
    Text(String),
    /// What stands in `[…]`.
    Range(String),
    Sign(String),
}

/// Cuts an expression.
pub(super) fn tokens(expr: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = expr.chars().collect();
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let until = |from: usize, stop: &dyn Fn(char) -> bool| {
            let rest = chars[from..].iter().position(|c| stop(*c));
            rest.map_or(chars.len(), |n| from + n)
        };
        if c.is_whitespace() {
            i += 1;
        } else if c == '#' {
            i = until(i, &|c| c == '\n');
        } else if c == '[' {
            let end = until(i, &|c| c == ']');
            if end == chars.len() {
                return Err("a [ is not closed".into());
            }
            found.push(Token::Range(chars[i + 1..end].iter().collect()));
            i = end + 1;
        } else if c == '"' || c == '\'' {
            let mut text = String::new();
            i += 1;
            loop {
                match chars.get(i) {
                    None => return Err("a text is not closed".into()),
                    Some('\\') => {
                        text.extend(chars.get(i + 1));
                        i += 2;
                    }
                    Some(end) if *end == c => break,
                    Some(other) => {
                        text.push(*other);
                        i += 1;
                    }
                }
            }
            found.push(Token::Text(text));
            i += 1;
        } else if c.is_ascii_digit() || c == '.' {
            i = until(i, &|c| !(c.is_ascii_alphanumeric() || c == '.'));
            found.push(Token::Number);
        } else if c.is_ascii_alphabetic() || c == '_' || c == ':' {
            let end = until(i, &|c| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
            found.push(Token::Word(chars[i..end].iter().collect()));
            i = end;
        } else {
            let two: String = chars[i..].iter().take(2).collect();
            let sign = match two.as_str() {
                "==" | "!=" | ">=" | "<=" | "=~" | "!~" => two,
                _ => c.to_string(),
            };
            i += sign.len();
            found.push(Token::Sign(sign));
        }
    }
    Ok(found)
}
