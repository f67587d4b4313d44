//! Numbers and what can be done with them, by Python's rules.

use super::{Binary, FormulaError, Function, Order, Unary};

/// A number; truth is 1 and 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i128),
    /// Any other.
    Float(f64),
}

impl Value {
    /// As a float.
    pub fn float(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }

    pub(super) fn is_true(self) -> bool {
        match self {
            Self::Int(whole) => whole != 0,
            Self::Float(float) => float != 0.0,
        }
    }

    fn whole(float: f64) -> Result<Self, FormulaError> {
        // Beyond 2^100 it is a slip of the pen, and far from what 128 bits hold.
        if float.abs() < 2_f64.powi(100) { Ok(Self::Int(float as i128)) } else { Err(TOO_LARGE) }
    }

    fn int(self) -> Result<i128, FormulaError> {
        match self {
            Self::Int(whole) => Ok(whole),
            Self::Float(_) => Err(FormulaError::Value("bits are taken of a number that is not whole")),
        }
    }
}

const TOO_LARGE: FormulaError = FormulaError::Value("a whole number grows too large");
const BY_ZERO: FormulaError = FormulaError::Value("something is divided by zero");
const DOMAIN: FormulaError = FormulaError::Value("a function is not defined there");
const RANGE: FormulaError = FormulaError::Value("a number grows too large");
const COMPLEX: FormulaError = FormulaError::Value("a root of a negative number");

pub(super) fn unary(unary: Unary, value: Value) -> Result<Value, FormulaError> {
    Ok(match (unary, value) {
        (Unary::Plus, value) => value,
        (Unary::Minus, Value::Int(whole)) => Value::Int(whole.checked_neg().ok_or(TOO_LARGE)?),
        (Unary::Minus, Value::Float(float)) => Value::Float(-float),
        (Unary::Invert, value) => Value::Int(!value.int()?),
        (Unary::Not, value) => Value::Int((!value.is_true()).into()),
    })
}

pub(super) fn compare(order: Order, left: Value, right: Value) -> bool {
    let ordering = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        _ => left.float().partial_cmp(&right.float()),
    };
    let Some(ordering) = ordering else { return order == Order::NotEqual };
    match order {
        Order::Less => ordering.is_lt(),
        Order::LessOrEqual => ordering.is_le(),
        Order::Equal => ordering.is_eq(),
        Order::NotEqual => ordering.is_ne(),
        Order::GreaterOrEqual => ordering.is_ge(),
        Order::Greater => ordering.is_gt(),
    }
}

pub(super) fn binary(binary: Binary, left: Value, right: Value) -> Result<Value, FormulaError> {
    use Value::{Float, Int};
    match (binary, left, right) {
        (Binary::Left | Binary::Right | Binary::And | Binary::Xor | Binary::Or, left, right) => {
            bits(binary, left.int()?, right.int()?).map(Int)
        }
        (Binary::Power, left, right) => power(left, right),
        (Binary::Divide, _, right) if right.float() == 0.0 => Err(BY_ZERO),
        (Binary::Floor | Binary::Modulo, _, right) if !right.is_true() => Err(BY_ZERO),
        (Binary::Divide, left, right) => Ok(Float(left.float() / right.float())),
        (_, Int(left), Int(right)) => {
            let whole = match binary {
                Binary::Add => left.checked_add(right),
                Binary::Subtract => left.checked_sub(right),
                Binary::Multiply => left.checked_mul(right),
                Binary::Floor => left.checked_div_euclid(right).zip(left.checked_rem_euclid(right)).map(
                    // Euclid rounds so that the rest is positive, Python so that it has the divisor's sign.
                    |(quotient, rest)| if right < 0 && rest != 0 { quotient - 1 } else { quotient },
                ),
                _ => left
                    .checked_rem_euclid(right)
                    .map(|rest| if right < 0 && rest != 0 { rest + right } else { rest }),
            };
            whole.map(Int).ok_or(TOO_LARGE)
        }
        (binary, left, right) => {
            let (left, right) = (left.float(), right.float());
            Ok(Float(match binary {
                Binary::Add => left + right,
                Binary::Subtract => left - right,
                Binary::Multiply => left * right,
                Binary::Floor => (left / right).floor(),
                _ => left - right * (left / right).floor(),
            }))
        }
    }
}

fn bits(binary: Binary, left: i128, right: i128) -> Result<i128, FormulaError> {
    let shift = || u32::try_from(right).map_err(|_| FormulaError::Value("a shift is negative or too far"));
    match binary {
        Binary::And => Ok(left & right),
        Binary::Xor => Ok(left ^ right),
        Binary::Or => Ok(left | right),
        Binary::Left => {
            let by = shift()?;
            1_i128.checked_shl(by).filter(|by| *by > 0).and_then(|by| left.checked_mul(by)).ok_or(TOO_LARGE)
        }
        _ => Ok(left >> shift()?.min(127)),
    }
}

fn power(left: Value, right: Value) -> Result<Value, FormulaError> {
    if let (Value::Int(left), Value::Int(right @ 0..)) = (left, right) {
        let power = u32::try_from(right).ok().and_then(|right| left.checked_pow(right));
        return power.map(Value::Int).ok_or(TOO_LARGE);
    }
    let (left, right) = (left.float(), right.float());
    if left == 0.0 && right < 0.0 {
        return Err(BY_ZERO);
    }
    if left < 0.0 && right.fract() != 0.0 {
        return Err(COMPLEX);
    }
    finite(left.powf(right), left.is_finite() && right.is_finite())
}

/// Python tells when finite numbers lead to one that is not.
fn finite(value: f64, was_finite: bool) -> Result<Value, FormulaError> {
    if value.is_nan() && was_finite {
        Err(DOMAIN)
    } else if value.is_infinite() && was_finite {
        Err(RANGE)
    } else {
        Ok(Value::Float(value))
    }
}

/// The number of values was checked when the formula was read.
pub(super) fn call(function: Function, values: &[Value]) -> Result<Value, FormulaError> {
    let Some(&first) = values.first() else { return Err(FormulaError::Value("a function has no values")) };
    let second = values.get(1).copied();
    let float = first.float();
    let math = |value: f64| finite(value, values.iter().all(|value| value.float().is_finite()));
    let pick = |order| {
        values
            .iter()
            .skip(1)
            .fold(first, |best, value| if compare(order, *value, best) { *value } else { best })
    };
    match function {
        Function::Min => Ok(pick(Order::Less)),
        Function::Max => Ok(pick(Order::Greater)),
        Function::Abs => match first {
            Value::Int(whole) => whole.checked_abs().map(Value::Int).ok_or(TOO_LARGE),
            Value::Float(float) => Ok(Value::Float(float.abs())),
        },
        Function::Pow => power(first, second.unwrap_or(Value::Int(1))),
        Function::MathPow => power(Value::Float(float), Value::Float(second.map_or(1.0, Value::float))),
        Function::Float => Ok(Value::Float(float)),
        Function::Bool => Ok(Value::Int(first.is_true().into())),
        Function::Round => round(first, second),
        Function::Int | Function::Trunc | Function::Floor | Function::Ceil => match (function, first) {
            (_, whole @ Value::Int(_)) => Ok(whole),
            (Function::Floor, _) => Value::whole(float.floor()),
            (Function::Ceil, _) => Value::whole(float.ceil()),
            _ => Value::whole(float.trunc()),
        },
        Function::Log | Function::Log2 | Function::Log10 if float <= 0.0 => Err(DOMAIN),
        Function::Log1p if float <= -1.0 => Err(DOMAIN),
        Function::Log => match second.map(Value::float) {
            None => math(float.ln()),
            Some(base) if base <= 0.0 => Err(DOMAIN),
            Some(1.0) => Err(BY_ZERO),
            Some(base) => math(float.ln() / base.ln()),
        },
        Function::Fabs => Ok(Value::Float(float.abs())),
        Function::Sqrt => math(float.sqrt()),
        Function::Exp => math(float.exp()),
        Function::Log2 => math(float.log2()),
        Function::Log10 => math(float.log10()),
        Function::Log1p => math(float.ln_1p()),
        Function::Expm1 => math(float.exp_m1()),
        Function::Sin => math(float.sin()),
        Function::Cos => math(float.cos()),
        Function::Tan => math(float.tan()),
        Function::Atan => math(float.atan()),
        Function::Tanh => math(float.tanh()),
        Function::Hypot => math(float.hypot(second.map_or(0.0, Value::float))),
    }
}

/// To the nearest, of two as near to the even one; with digits it stays a float.
fn round(value: Value, digits: Option<Value>) -> Result<Value, FormulaError> {
    let Value::Float(float) = value else {
        return match digits {
            Some(digits) if digits.int()? < 0 => {
                Err(FormulaError::Value("it rounds to less than whole numbers"))
            }
            _ => Ok(value),
        };
    };
    match digits {
        None => Value::whole(float.round_ties_even()),
        Some(digits) => {
            let digits = i32::try_from(digits.int()?.clamp(0, 30)).unwrap_or(0);
            let scale = 10_f64.powi(digits);
            let scaled = (float * scale).round_ties_even() / scale;
            Ok(Value::Float(if scaled.is_finite() { scaled } else { float }))
        }
    }
}
