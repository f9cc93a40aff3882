//! A reader of PromQL for checks: which metrics an expression reads, with which matchers, and which labels its result
//! has. Knows the language as far as rules and dashboards use it; knows no metric by itself (`Known` does).

mod tokens;

use std::collections::BTreeSet;

use tokens::{Token, tokens};

/// Label names.
pub(crate) type Labels = BTreeSet<String>;

/// A metric as the reader needs to know it.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    /// Labels of its series, those of the target (job, instance) included.
    pub(crate) labels: Labels,
    /// Only rises: `increase` and `rate` make sense of it.
    pub(crate) counter: bool,
}

/// Whoever knows metrics.
pub(crate) trait Known {
    /// The metric of this name.
    fn family(&self, name: &str) -> Option<Family>;
    /// Whether a label of a metric can have this value.
    fn value(&self, name: &str, label: &str, value: &str) -> bool;
}

/// What an expression comes to: `None` is a number, a vector has labels.
type Kind = Option<Labels>;

/// One place where an expression reads series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// Label, sign, value.
    pub(crate) matchers: Vec<(String, String, String)>,
    /// What stands in `[…]` right behind it.
    pub(crate) range: Option<String>,
    /// The function that it is an argument of.
    pub(crate) function: Option<String>,
}

/// Reads an expression. `Ok` is its labels (`None` for a number), `Err` everything that is wrong with it.
pub(crate) fn read(expr: &str, known: &dyn Known) -> Result<Kind, Vec<String>> {
    read_all(expr, known).map(|(kind, _)| kind)
}

/// [`read`], with every place where series are read.
pub(crate) fn read_all(
    expr: &str,
    known: &dyn Known,
) -> Result<(Kind, Vec<Selector>), Vec<String>> {
    let tokens = tokens(expr).map_err(|e| vec![e])?;
    let mut reader = Reader {
        tokens,
        at: 0,
        known,
        wrong: Vec::new(),
        counters: true,
        calls: Vec::new(),
        selectors: Vec::new(),
    };
    let kind = reader.binary(0).and_then(|kind| match reader.peek() {
        None => Ok(kind),
        Some(left) => Err(format!("{left:?} is left over")),
    });
    match kind {
        Err(e) => reader.wrong.push(e),
        Ok(kind) if reader.wrong.is_empty() => return Ok((kind, reader.selectors)),
        Ok(_) => {}
    }
    Err(reader.wrong)
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    known: &'a dyn Known,
    wrong: Vec<String>,
    /// Every metric read since this was set is a counter.
    counters: bool,
    /// Functions whose arguments are being read, outermost first.
    calls: Vec<String>,
    selectors: Vec<Selector>,
}

const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];

/// Functions of counters.
const RATES: [&str; 3] = ["rate", "irate", "increase"];

/// How tightly an operator binds; `None` for what is none.
fn precedence(token: &Token) -> Option<(u8, String)> {
    let (Token::Word(text) | Token::Sign(text)) = token else {
        return None;
    };
    let strength = match text.as_str() {
        "or" => 1,
        "and" | "unless" => 2,
        "==" | "!=" | ">" | "<" | ">=" | "<=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "%" => 5,
        "^" => 6,
        _ => return None,
    };
    Some((strength, text.clone()))
}

// === impl Reader ===

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(s)) if s == sign);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, words: &[&str]) -> Option<String> {
        match self.peek() {
            Some(Token::Word(w)) if words.contains(&w.as_str()) => {
                let word = w.clone();
                self.at += 1;
                Some(word)
            }
            _ => None,
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(format!("{sign} expected before {:?}", self.peek()))
    }

    /// `(a, b)`.
    fn label_list(&mut self) -> Result<Labels, String> {
        self.expect("(")?;
        let mut list = Labels::new();
        while let Some(Token::Word(label)) = self.peek() {
            list.insert(label.clone());
            self.at += 1;
            if !self.sign(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(list)
    }

    fn binary(&mut self, least: u8) -> Result<Kind, String> {
        let mut left = self.unary()?;
        while let Some((strength, operator)) = self.peek().and_then(precedence) {
            if strength < least {
                break;
            }
            self.at += 1;
            self.word(&["bool"]);
            let on = match self.word(&["on", "ignoring"]) {
                None => None,
                Some(how) => Some((how == "on", self.label_list()?)),
            };
            let group = match self.word(&["group_left", "group_right"]) {
                None => None,
                Some(side) if self.peek() == Some(&Token::Sign("(".into())) => {
                    Some((side, self.label_list()?))
                }
                Some(side) => Some((side, Labels::new())),
            };
            let right = self.binary(strength + 1)?;
            left = self.matched(&operator, on, group, left, right);
        }
        Ok(left)
    }

    /// What two sides come to, and whether they can meet at all.
    fn matched(
        &mut self,
        operator: &str,
        on: Option<(bool, Labels)>,
        group: Option<(String, Labels)>,
        left: Kind,
        right: Kind,
    ) -> Kind {
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (vector, None) | (None, vector) => return vector,
        };
        let meeting = |side: &Labels| match &on {
            None => side.clone(),
            Some((true, list)) => list.clone(),
            Some((false, list)) => side - list,
        };
        if let Some((true, list)) = &on {
            for side in [&left, &right] {
                for label in list.difference(side) {
                    self.wrong.push(format!(
                        "`{operator} on (… {label} …)`: one side has only {side:?}"
                    ));
                }
            }
        } else if operator != "or" && meeting(&left) != meeting(&right) {
            self.wrong.push(format!(
                "`{operator}` never matches: {left:?} here, {right:?} there"
            ));
        }
        Some(match (operator, group) {
            // What surely is there whichever side a series comes from.
            ("or", _) => &left & &right,
            ("and" | "unless", _) => left,
            (_, Some((side, more))) if side == "group_left" => &left | &more,
            (_, Some((_, more))) => &right | &more,
            (_, None) => meeting(&left),
        })
    }

    fn unary(&mut self) -> Result<Kind, String> {
        if self.sign("-") || self.sign("+") {
            return self.unary();
        }
        let kind = self.primary()?;
        loop {
            if let Some(Token::Range(range)) = self.peek().cloned() {
                // Behind a parenthesis it is a subquery's.
                let direct = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
                if direct != Some(&Token::Sign(")".into()))
                    && let Some(selector) = self.selectors.last_mut()
                {
                    selector.range = Some(range);
                }
                self.at += 1;
            } else if self.word(&["offset"]).is_some() {
                self.sign("-");
                self.at += 1;
            } else {
                return Ok(kind);
            }
        }
    }

    fn primary(&mut self) -> Result<Kind, String> {
        if self.sign("(") {
            let kind = self.binary(0)?;
            self.expect(")")?;
            return Ok(kind);
        }
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Number) => Ok(None),
            Some(Token::Word(word)) => {
                let called = self.peek() == Some(&Token::Sign("(".into()));
                let grouped =
                    matches!(self.peek(), Some(Token::Word(w)) if w == "by" || w == "without");
                if AGGREGATIONS.contains(&word.as_str()) && (called || grouped) {
                    self.aggregation(&word)
                } else if called {
                    self.function(&word)
                } else {
                    self.selector(&word)
                }
            }
            other => Err(format!("{other:?} is no expression")),
        }
    }

    /// Arguments in parentheses: the labels of the one vector among them, and the texts.
    fn arguments(&mut self) -> Result<(Kind, Vec<String>), String> {
        self.expect("(")?;
        let (mut vector, mut texts) = (None, Vec::new());
        while !self.sign(")") {
            if let Some(Token::Text(text)) = self.peek() {
                texts.push(text.clone());
                self.at += 1;
            } else {
                vector = self.binary(0)?.or(vector);
            }
            self.sign(",");
            if self.peek().is_none() {
                return Err("a ( is not closed".into());
            }
        }
        Ok((vector, texts))
    }

    fn aggregation(&mut self, name: &str) -> Result<Kind, String> {
        let mut grouping = self.word(&["by", "without"]);
        let mut list = match grouping {
            Some(_) => self.label_list()?,
            None => Labels::new(),
        };
        let (vector, texts) = self.arguments()?;
        if grouping.is_none() {
            grouping = self.word(&["by", "without"]);
            if grouping.is_some() {
                list = self.label_list()?;
            }
        }
        let inner = vector.ok_or_else(|| format!("{name} of a number"))?;
        for label in list.difference(&inner) {
            self.wrong.push(format!(
                "{name} groups by {label}, and there is only {inner:?}"
            ));
        }
        let mut out = match grouping.as_deref() {
            Some("without") => &inner - &list,
            _ if name == "topk" || name == "bottomk" => inner,
            _ => list,
        };
        if name == "count_values" {
            out.extend(texts);
        }
        Ok(Some(out))
    }

    fn function(&mut self, name: &str) -> Result<Kind, String> {
        let outer = std::mem::replace(&mut self.counters, true);
        let start = self.at;
        self.calls.push(name.to_owned());
        let arguments = self.arguments();
        self.calls.pop();
        let (vector, texts) = arguments?;
        if RATES.contains(&name) && !self.counters {
            self.wrong.push(format!("{name} of what is no counter"));
        }
        self.counters = outer;
        Ok(match name {
            "time" | "scalar" | "pi" => None,
            "vector" => Some(Labels::new()),
            // Only what equality fixes is on the result.
            "absent" | "absent_over_time" => {
                let mut fixed = Labels::new();
                for three in self.tokens[start..self.at].windows(3) {
                    if let [Token::Word(label), Token::Sign(sign), Token::Text(_)] = three
                        && sign == "="
                    {
                        fixed.insert(label.clone());
                    }
                }
                Some(fixed)
            }
            "histogram_quantile" => vector.map(|v| &v - &Labels::from(["le".to_owned()])),
            "label_replace" | "label_join" => vector.map(|mut v| {
                v.extend(texts.first().cloned());
                v
            }),
            _ => vector,
        })
    }

    fn selector(&mut self, name: &str) -> Result<Kind, String> {
        let Some(family) = self.known.family(name) else {
            self.wrong.push(format!("there is no metric {name}"));
            // Its matchers are read all the same, so that the rest is.
            while self.at < self.tokens.len()
                && matches!(self.peek(), Some(Token::Sign(s)) if s == "{")
            {
                while !self.sign("}") && self.peek().is_some() {
                    self.at += 1;
                }
            }
            return Ok(Some(Labels::new()));
        };
        self.counters &= family.counter;
        let mut matchers = Vec::new();
        if self.sign("{") {
            while let Some(Token::Word(label)) = self.peek().cloned() {
                self.at += 1;
                let (Some(Token::Sign(sign)), Some(Token::Text(value))) =
                    (self.tokens.get(self.at), self.tokens.get(self.at + 1))
                else {
                    return Err(format!("a matcher of {name} is cut off"));
                };
                if !family.labels.contains(&label) {
                    self.wrong.push(format!("{name} has no label {label}"));
                }
                // Alternatives are the only patterns that can be checked word by word.
                let words = value.split('|').filter(|w| {
                    !w.is_empty()
                        && w.chars()
                            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
                });
                for word in words {
                    if !self.known.value(name, &label, word) {
                        self.wrong
                            .push(format!("{name}: {label}{sign}{value:?} matches nothing"));
                    }
                }
                matchers.push((label, sign.clone(), value.clone()));
                self.at += 2;
                self.sign(",");
            }
            self.expect("}")?;
        }
        self.selectors.push(Selector {
            name: name.to_owned(),
            matchers,
            range: None,
            function: self.calls.last().cloned(),
        });
        Ok(Some(family.labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Known for Few {
        fn family(&self, name: &str) -> Option<Family> {
            let labels = |list: &[&str]| list.iter().map(|l| (*l).to_owned()).collect();
            match name {
                "a_total" => Some(Family {
                    labels: labels(&["job", "chain", "x"]),
                    counter: true,
                }),
                "b" => Some(Family {
                    labels: labels(&["job", "chain"]),
                    counter: false,
                }),
                "h_bucket" => Some(Family {
                    labels: labels(&["chain", "le"]),
                    counter: true,
                }),
                _ => None,
            }
        }

        fn value(&self, _: &str, label: &str, value: &str) -> bool {
            label != "x" || value == "one"
        }
    }

    #[test]
    fn labels_come_out_as_prometheus_would_have_them() {
        for (expr, labels) in [
            ("b > 3", "chain job"),
            ("sum by (chain) (increase(a_total[5m])) > 0", "chain"),
            (
                "sum(rate(a_total{x=\"one\"}[$__rate_interval])) by (chain, x)",
                "chain x",
            ),
            ("sum without (x) (a_total) - b", "chain job"),
            ("a_total - ignoring (x) group_left () b", "chain job x"),
            ("a_total / on (chain) group_left b", "chain job x"),
            ("-b + 2 * b offset 5m", "chain job"),
            ("time() - max by (chain) (b) > 3 and on (chain) b", "chain"),
            ("b unless on (chain) max_over_time(b[1h:1m])", "chain job"),
            ("a_total or b", "chain job"),
            ("absent(b{job=\"j\", chain=~\"h.*\"})", "job"),
            (
                "histogram_quantile(0.9, sum by (chain, le) (rate(h_bucket[5m])))",
                "chain",
            ),
            ("quantile by (chain) (0.5, b)", "chain"),
            ("topk(3, b)", "chain job"),
            ("vector(1)", ""),
            (
                "label_replace(b, \"y\", \"$1\", \"chain\", \"(.*)\")",
                "chain job y",
            ),
        ] {
            let got = read(expr, &Few).unwrap_or_else(|e| panic!("{expr}: {e:?}"));
            let got: Vec<String> = got.unwrap().into_iter().collect();
            assert_eq!(got.join(" "), labels, "{expr}");
        }
        assert_eq!(read("time() - 3", &Few), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (expr, says) in [
            ("c", "no metric c"),
            ("c{x=\"one\"} > 1", "no metric c"),
            ("b{x=\"one\"}", "b has no label x"),
            ("a_total{x=~\"one|two\"}", "matches nothing"),
            ("sum by (x) (b)", "groups by x"),
            ("sum by (x) (sum by (chain) (a_total))", "groups by x"),
            ("b and on (x) a_total", "on (… x …)"),
            ("a_total - b", "never matches"),
            ("a_total and b", "never matches"),
            ("increase(b[5m])", "no counter"),
            ("sum(b", "not closed"),
            ("b b", "left over"),
            ("b > ", "no expression"),
        ] {
            let wrong = read(expr, &Few).expect_err(expr);
            assert!(wrong.iter().any(|w| w.contains(says)), "{expr}: {wrong:?}");
        }
    }
}
