//! The arithmetic of `bantime.formula` and `bantime.factor`: Python's, as far as numbers go.
//!
//! Pure. In: a text and the numbers it may name. Out: a number. There are whole numbers (128 bits, past which it is an
//! error) and floats; `/` makes floats, `//` and `%` round down, `**` of a negative power makes a float, comparisons
//! chain, `a if c else b`, `and`, `or`, `not` work as in Python. Nothing loops; text and nesting are bounded.

mod number;
mod parse;

use std::fmt;
use std::str::FromStr;

pub use self::number::Value;

/// Longer texts are refused.
const LONGEST_TEXT: usize = 1000;
/// Deeper nesting is refused.
const DEEPEST: usize = 64;

/// A formula that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    text: String,
    expression: Expression,
}

/// The numbers a formula may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variables {
    /// `ban.Time`: seconds of a first ban.
    pub time: Value,
    /// `ban.Count`: bans before.
    pub count: u32,
    /// `banFactor`.
    pub factor: Value,
}

/// Why a formula cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// It is not written as one.
    #[error("is no formula at `{0}`")]
    Syntax(String),
    /// It ends too early.
    #[error("is no formula: it ends too early")]
    Ends,
    /// It names something else than the numbers of a ban.
    #[error("`{0}` is not known: a formula knows ban.Time, ban.Count, banFactor, numbers, {functions}", functions = parse::FUNCTIONS)]
    Unknown(String),
    /// A number of a ban where there is none.
    #[error("`{0}` is not known here: it is a number before any ban")]
    NoBan(&'static str),
    /// A function with too many or too few values.
    #[error("{0} takes another number of values")]
    Arguments(&'static str),
    /// Too long or nested too deep.
    #[error("is too long")]
    TooLong,
    /// It has no value for these numbers.
    #[error("has no value: {0}")]
    Value(&'static str),
}

/// A part of a formula.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Number(Value),
    Time,
    Count,
    Factor,
    Unary(Unary, Box<Self>),
    Binary(Binary, Box<[Self; 2]>),
    /// `a < b <= c`: the first, then each comparison with what follows.
    Compare(Box<Self>, Vec<(Order, Self)>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// Condition, then, else.
    If(Box<[Self; 3]>),
    Call(Function, Vec<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unary {
    Plus,
    Minus,
    Invert,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Floor,
    Modulo,
    Power,
    Left,
    Right,
    And,
    Xor,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Abs,
    Pow,
    Int,
    Float,
    Round,
    Bool,
    Floor,
    Ceil,
    Trunc,
    Fabs,
    Sqrt,
    Exp,
    Log,
    Log2,
    Log10,
    Log1p,
    Expm1,
    MathPow,
    Sin,
    Cos,
    Tan,
    Atan,
    Tanh,
    Hypot,
}

impl FromStr for Formula {
    type Err = FormulaError;

    fn from_str(text: &str) -> Result<Self, FormulaError> {
        if text.len() > LONGEST_TEXT {
            return Err(FormulaError::TooLong);
        }
        Ok(Self { text: text.to_owned(), expression: parse::expression(text)? })
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Formula {
    /// Its value for a ban.
    ///
    /// # Errors
    /// It has none: a division by zero, a number out of bounds, and the like.
    pub fn value(&self, variables: &Variables) -> Result<Value, FormulaError> {
        self.expression.value(Some(variables))
    }

    /// Its value without a ban.
    ///
    /// # Errors
    /// It has none, or names a number of a ban.
    pub fn constant(&self) -> Result<Value, FormulaError> {
        self.expression.value(None)
    }
}

impl Expression {
    fn value(&self, known: Option<&Variables>) -> Result<Value, FormulaError> {
        let of = |name, get: fn(&Variables) -> Value| known.map(get).ok_or(FormulaError::NoBan(name));
        match self {
            Self::Number(number) => Ok(*number),
            Self::Time => of("ban.Time", |known| known.time),
            Self::Count => of("ban.Count", |known| Value::Int(known.count.into())),
            Self::Factor => of("banFactor", |known| known.factor),
            Self::Unary(unary, of) => number::unary(*unary, of.value(known)?),
            Self::Binary(binary, sides) => {
                let [left, right] = &**sides;
                number::binary(*binary, left.value(known)?, right.value(known)?)
            }
            Self::Compare(first, rest) => {
                let mut left = first.value(known)?;
                for (order, right) in rest {
                    let right = right.value(known)?;
                    if !number::compare(*order, left, right) {
                        return Ok(Value::Int(0));
                    }
                    left = right;
                }
                Ok(Value::Int(1))
            }
            Self::And(sides) => match sides[0].value(known)? {
                left if left.is_true() => sides[1].value(known),
                left => Ok(left),
            },
            Self::Or(sides) => match sides[0].value(known)? {
                left if left.is_true() => Ok(left),
                _ => sides[1].value(known),
            },
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.value(known)?.is_true() { then.value(known) } else { otherwise.value(known) }
            }
            Self::Call(function, values) => {
                let values = values.iter().map(|value| value.value(known)).collect::<Result<Vec<_>, _>>()?;
                number::call(*function, &values)
            }
        }
    }
}

#[cfg(test)]
mod tests;
