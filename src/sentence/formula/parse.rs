//! Text → expression, by Python's precedence.

use super::{Binary, DEEPEST, Expression, FormulaError, Function, Order, Unary, Value};

/// For messages.
pub(super) const FUNCTIONS: &str = "min, max, abs, pow, int, float, round and math.*";

/// Name, function, and how many values it takes at least and at most.
const CALLS: &[(&str, Function, usize, usize)] = &[
    ("min", Function::Min, 2, 50),
    ("max", Function::Max, 2, 50),
    ("abs", Function::Abs, 1, 1),
    ("pow", Function::Pow, 2, 2),
    ("int", Function::Int, 1, 1),
    ("float", Function::Float, 1, 1),
    ("round", Function::Round, 1, 2),
    ("bool", Function::Bool, 1, 1),
    ("math.floor", Function::Floor, 1, 1),
    ("math.ceil", Function::Ceil, 1, 1),
    ("math.trunc", Function::Trunc, 1, 1),
    ("math.fabs", Function::Fabs, 1, 1),
    ("math.sqrt", Function::Sqrt, 1, 1),
    ("math.exp", Function::Exp, 1, 1),
    ("math.log", Function::Log, 1, 2),
    ("math.log2", Function::Log2, 1, 1),
    ("math.log10", Function::Log10, 1, 1),
    ("math.log1p", Function::Log1p, 1, 1),
    ("math.expm1", Function::Expm1, 1, 1),
    ("math.pow", Function::MathPow, 2, 2),
    ("math.sin", Function::Sin, 1, 1),
    ("math.cos", Function::Cos, 1, 1),
    ("math.tan", Function::Tan, 1, 1),
    ("math.atan", Function::Atan, 1, 1),
    ("math.tanh", Function::Tanh, 1, 1),
    ("math.hypot", Function::Hypot, 2, 2),
];

/// Operators of two sides that bind ever closer, each row from left to right; `**` is apart.
const LEVELS: &[&[(&str, Binary)]] = &[
    &[("|", Binary::Or)],
    &[("^", Binary::Xor)],
    &[("&", Binary::And)],
    &[("<<", Binary::Left), (">>", Binary::Right)],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("//", Binary::Floor), ("%", Binary::Modulo)],
];

const ORDERS: &[(&str, Order)] = &[
    ("<", Order::Less),
    ("<=", Order::LessOrEqual),
    ("==", Order::Equal),
    ("!=", Order::NotEqual),
    (">=", Order::GreaterOrEqual),
    (">", Order::Greater),
];

/// Reads a whole text.
pub(super) fn expression(text: &str) -> Result<Expression, FormulaError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expression = parser.choice()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(FormulaError::Syntax(token.text().to_owned())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'t> {
    Number(&'t str, Value),
    /// A name, with its dots.
    Name(&'t str),
    Sign(&'t str),
}

impl<'t> Token<'t> {
    fn text(self) -> &'t str {
        match self {
            Self::Number(text, _) | Self::Name(text) | Self::Sign(text) => text,
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, FormulaError> {
    const SIGNS: &[&str] = &[
        "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "(", ")", ",", "<", ">",
        "&", "|", "^", "~",
    ];
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')));
            let length = end.unwrap_or(rest.len());
            (Token::Name(&rest[..length]), length)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| FormulaError::Syntax(rest.chars().take(20).collect()))?;
            (Token::Sign(&rest[..sign.len()]), sign.len())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A number at the beginning, with its length: `600`, `1_000`, `0x3c`, `1.5`, `2e3`.
fn number(text: &str) -> Result<(Token<'_>, usize), FormulaError> {
    let wrong = |length: usize| FormulaError::Syntax(text[..length].to_owned());
    let span = |fits: &dyn Fn(char) -> bool| text.find(|c: char| !fits(c)).unwrap_or(text.len());
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)] {
        if text.starts_with(prefix) {
            let length = span(&|c| c.is_ascii_alphanumeric() || c == '_');
            let digits = text[2..length].replace('_', "");
            let whole = i128::from_str_radix(&digits, radix).map_err(|_| wrong(length))?;
            return Ok((Token::Number(&text[..length], Value::Int(whole)), length));
        }
    }
    let mut length = span(&|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let digits = &text[length + 1 + sign..];
        let exponent = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        length += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    if text[length..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(wrong(text.len().min(length + 1)));
    }
    let written = &text[..length];
    let digits = written.replace('_', "");
    let value = match digits.parse() {
        Ok(whole) => Value::Int(whole),
        Err(_) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(FormulaError::Value("a whole number grows too large"));
        }
        Err(_) => Value::Float(digits.parse().map_err(|_| wrong(length))?),
    };
    Ok((Token::Number(written, value), length))
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    /// Whether the next token is this sign or word; then it is taken.
    fn take(&mut self, text: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Sign(it) | Token::Name(it)) if it == text);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, text: &str) -> Result<(), FormulaError> {
        if self.take(text) { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> FormulaError {
        self.peek().map_or(FormulaError::Ends, |token| FormulaError::Syntax(token.text().to_owned()))
    }

    /// One of these signs, if it comes next.
    fn one_of<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        let Some(Token::Sign(next)) = self.peek() else { return None };
        let found = signs.iter().find(|(sign, _)| *sign == next)?;
        self.at += 1;
        Some(found.1)
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormulaError>,
    ) -> Result<T, FormulaError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(FormulaError::TooLong);
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// `a if c else b`
    fn choice(&mut self) -> Result<Expression, FormulaError> {
        let then = self.or()?;
        if !self.take("if") {
            return Ok(then);
        }
        let condition = self.or()?;
        self.expect("else")?;
        let otherwise = self.deeper(Self::choice)?;
        Ok(Expression::If(Box::new([condition, then, otherwise])))
    }

    fn or(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.and()?;
        while self.take("or") {
            left = Expression::Or(Box::new([left, self.and()?]));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.not()?;
        while self.take("and") {
            left = Expression::And(Box::new([left, self.not()?]));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, FormulaError> {
        if self.take("not") {
            return Ok(Expression::Unary(Unary::Not, Box::new(self.deeper(Self::not)?)));
        }
        let first = self.level(0)?;
        let mut rest = Vec::new();
        while let Some(order) = self.one_of(ORDERS) {
            rest.push((order, self.level(0)?));
        }
        Ok(if rest.is_empty() { first } else { Expression::Compare(Box::new(first), rest) })
    }

    fn level(&mut self, level: usize) -> Result<Expression, FormulaError> {
        let Some(signs) = LEVELS.get(level) else { return self.signed() };
        let mut left = self.level(level + 1)?;
        while let Some(binary) = self.one_of(signs) {
            left = Expression::Binary(binary, Box::new([left, self.level(level + 1)?]));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, FormulaError> {
        const SIGNS: &[(&str, Unary)] = &[("+", Unary::Plus), ("-", Unary::Minus), ("~", Unary::Invert)];
        if let Some(unary) = self.one_of(SIGNS) {
            return Ok(Expression::Unary(unary, Box::new(self.deeper(Self::signed)?)));
        }
        let base = self.atom()?;
        if self.take("**") {
            let power = self.deeper(Self::signed)?;
            return Ok(Expression::Binary(Binary::Power, Box::new([base, power])));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<Expression, FormulaError> {
        let token = self.peek().ok_or(FormulaError::Ends)?;
        self.at += 1;
        match token {
            Token::Number(_, value) => Ok(Expression::Number(value)),
            Token::Sign("(") => {
                let inner = self.deeper(Self::choice)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign(_) => {
                self.at -= 1;
                Err(self.wrong())
            }
            Token::Name(name) => self.named(name),
        }
    }

    fn named(&mut self, name: &str) -> Result<Expression, FormulaError> {
        let number = |value| Ok(Expression::Number(value));
        match name {
            "ban.Time" => return Ok(Expression::Time),
            "ban.Count" => return Ok(Expression::Count),
            "banFactor" => return Ok(Expression::Factor),
            "True" => return number(Value::Int(1)),
            "False" => return number(Value::Int(0)),
            "math.pi" => return number(Value::Float(std::f64::consts::PI)),
            "math.e" => return number(Value::Float(std::f64::consts::E)),
            "if" | "else" | "and" | "or" | "not" => {
                self.at -= 1;
                return Err(self.wrong());
            }
            _ => {}
        }
        let Some(&(name, function, least, most)) = CALLS.iter().find(|(known, ..)| *known == name) else {
            return Err(FormulaError::Unknown(name.to_owned()));
        };
        self.expect("(")?;
        let mut values = Vec::new();
        while !self.take(")") {
            values.push(self.deeper(Self::choice)?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        if (least..=most).contains(&values.len()) {
            Ok(Expression::Call(function, values))
        } else {
            Err(FormulaError::Arguments(name))
        }
    }
}
