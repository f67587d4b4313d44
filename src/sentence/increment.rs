//! How a ban time grows with the bans before it (SPEC §4.4).
//!
//! Pure: how often the address was banned and a random number are passed in.

use std::time::Duration;

use super::formula::{Formula, FormulaError, Value, Variables};

/// No ban lasts longer than this (63 thousand years), whatever a formula says: an end must be a moment.
pub const LONGEST: Duration = Duration::from_secs(2_000_000_000_000);
/// Multipliers are read up to so many.
const MULTIPLIERS: usize = 1000;
/// Past so many bans the default grows no more.
const DOUBLINGS: u32 = 20;

/// How the ban time grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Increment {
    /// By what.
    pub scale: Scale,
    /// `factor`: multiplies the default and the multipliers; a formula knows it as `banFactor`.
    pub factor: Value,
    /// No longer than this.
    pub max_time: Option<Duration>,
    /// Up to so much more, by chance: nobody shall know the moment.
    pub random_time: Duration,
    /// Bans by all jails count, not those of this jail alone.
    pub all_jails: bool,
}

/// What the ban time is multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// Doubled for each ban before, twenty times at most.
    Doubling,
    /// What the operator's formula gives.
    Formula(Formula),
    /// The multiplier in the place of the number of bans before; past the end the last.
    Multipliers(Vec<u64>),
}

impl Default for Increment {
    fn default() -> Self {
        Self {
            scale: Scale::Doubling,
            factor: Value::Int(1),
            max_time: None,
            random_time: Duration::ZERO,
            all_jails: false,
        }
    }
}

/// Why an option of the increment cannot be used: the caller names the option.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncrementError {
    /// An expression is wrong.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// Not a whole number.
    #[error("`{0}` is no whole number: multipliers are numbers between blanks, such as 1 5 30 60")]
    Multiplier(String),
    /// More than anybody needs.
    #[error("has more than {MULTIPLIERS} numbers")]
    TooMany,
}

impl Scale {
    /// Multipliers as an operator writes them: whole numbers between blanks; none when there is no word.
    ///
    /// # Errors
    /// A word that is no whole number, or too many of them.
    pub fn multipliers(text: &str) -> Result<Option<Self>, IncrementError> {
        let read = |word: &str| word.parse().map_err(|_| IncrementError::Multiplier(word.to_owned()));
        let all: Vec<u64> =
            text.split_whitespace().take(MULTIPLIERS + 1).map(read).collect::<Result<_, _>>()?;
        match all.len() {
            0 => Ok(None),
            1..=MULTIPLIERS => Ok(Some(Self::Multipliers(all))),
            _ => Err(IncrementError::TooMany),
        }
    }
}

impl Increment {
    /// The factor as an operator writes it: a number or an expression of numbers, such as `2.0 / 13.0`.
    ///
    /// # Errors
    /// It is no expression, or names something.
    pub fn factor(text: &str) -> Result<Value, IncrementError> {
        Ok(text.parse::<Formula>()?.constant()?)
    }

    /// How long a ban of an address lasts that was banned `count` times before, if a first one lasts `base`.
    /// `random` is in `0.0..1.0`.
    ///
    /// Never shorter than `base` before `max_time` and multipliers have their say.
    ///
    /// # Errors
    /// The formula has no value for these numbers: the ban keeps its time.
    pub fn sentence(&self, base: Duration, count: u32, random: f64) -> Result<Duration, FormulaError> {
        let seconds = base.as_secs_f64();
        let factor = self.factor.float();
        let scaled = match &self.scale {
            Scale::Doubling => at_least(seconds, seconds * f64::from(1_u32 << count.min(DOUBLINGS)) * factor),
            Scale::Formula(formula) => {
                let time = match base.subsec_nanos() {
                    0 => Value::Int(base.as_secs().into()),
                    _ => Value::Float(seconds),
                };
                let value = formula.value(&Variables { time, count, factor: self.factor })?;
                at_least(seconds, value.float())
            }
            Scale::Multipliers(all) => {
                let last = all.len().saturating_sub(1);
                let multiplier = all.get(last.min(count as usize)).map_or(1.0, |number| *number as f64);
                seconds * factor * multiplier
            }
        };
        let limit = self.max_time.map_or(LONGEST, |limit| limit.min(LONGEST)).as_secs_f64();
        let chance = self.random_time.as_secs_f64() * random.clamp(0.0, 1.0);
        let whole = (scaled.min(limit) + chance).clamp(0.0, LONGEST.as_secs_f64());
        // A clamped number is neither negative nor endless; one that is no number became the base above.
        Ok(Duration::try_from_secs_f64(whole).unwrap_or(base))
    }
}

/// The greater; what is no number is not greater.
fn at_least(base: f64, value: f64) -> f64 {
    if value > base { value } else { base }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn formula(text: &str) -> Scale {
        Scale::Formula(text.parse().unwrap())
    }

    fn multipliers(text: &str) -> Scale {
        Scale::multipliers(text).unwrap().unwrap()
    }

    /// Measured with Fail2Ban 1.0.2, random number 0.5.
    #[test]
    fn times_grow_as_fail2bans() {
        let default = Increment::default;
        let with = |scale| Increment { scale, ..default() };
        let secs = Duration::from_secs;
        for (what, increment, base, times) in [
            ("default", default(), 60, &[(1, 120.0), (2, 240.0), (19, 31_457_280.0), (30, 62_914_560.0)][..]),
            (
                "factor",
                Increment { factor: Increment::factor("2.0 / 11.0 * 2").unwrap(), ..default() },
                60,
                &[(1, 60.0), (2, 87.272_727), (5, 698.181_818)],
            ),
            ("less than nothing", Increment { factor: Value::Int(-1), ..default() }, 60, &[(1, 60.0)]),
            ("formula", with(formula("ban.Time / 2")), 60, &[(1, 60.0), (3, 60.0)]),
            (
                "stock example",
                Increment {
                    factor: Increment::factor("2.0 / 13.0").unwrap(),
                    ..with(formula("ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)"))
                },
                60,
                &[(1, 69.978_686), (10, 279.445_169)],
            ),
            ("multipliers", with(multipliers("1 2 4")), 60, &[(1, 120.0), (2, 240.0), (9, 240.0)]),
            (
                "multipliers with factor",
                Increment { factor: Value::Int(3), ..with(multipliers("1 2 4")) },
                60,
                &[(1, 360.0), (2, 720.0), (9, 720.0)],
            ),
            ("no time at all", with(multipliers("0 0")), 60, &[(1, 0.0)]),
            ("limit", Increment { max_time: Some(secs(100)), ..default() }, 60, &[(1, 100.0), (2, 100.0)]),
            (
                "limit and chance",
                Increment { max_time: Some(secs(100)), random_time: secs(20), ..default() },
                60,
                &[(1, 110.0)],
            ),
            ("limit below", Increment { max_time: Some(secs(30)), ..default() }, 60, &[(1, 30.0)]),
            ("chance", Increment { random_time: secs(7), ..default() }, 61, &[(1, 125.5)]),
            ("endless", with(formula("1e300 * 1e300")), 60, &[(1, LONGEST.as_secs_f64())]),
            ("no number", with(formula("1e300*1e300 - 1e300*1e300")), 60, &[(1, 60.0)]),
        ] {
            for &(count, want) in times {
                let got = increment.sentence(secs(base), count, 0.5).unwrap().as_secs_f64();
                assert!((got - want).abs() < 0.001, "{what}, {count} before: {got} for {want}");
            }
        }
    }

    #[test]
    fn what_is_no_option_is_told() {
        for (text, want) in [
            ("1 2.5", "`2.5` is no whole number: multipliers are numbers between blanks, such as 1 5 30 60"),
            ("1,2", "`1,2` is no whole number: multipliers are numbers between blanks, such as 1 5 30 60"),
        ] {
            assert_eq!(Scale::multipliers(text).unwrap_err().to_string(), want);
        }
        assert_eq!(Scale::multipliers(&"1 ".repeat(1001)), Err(IncrementError::TooMany));
        assert_eq!(Scale::multipliers(" ").unwrap(), None);
        assert_eq!(
            Increment::factor("ban.Count").unwrap_err().to_string(),
            "`ban.Count` is not known here: it is a number before any ban"
        );
    }

    proptest! {
        /// Without multipliers and limits no ban is shorter than the first; a limit is kept but for chance.
        #[test]
        fn no_ban_is_shorter_than_the_first(
            base in 0..10_000_000_u64, count in 1..1000_u32, factor in -5.0..50.0_f64, random in 0.0..1.0_f64,
            chance in 0..1000_u64, limit in 0..10_000_000_u64,
        ) {
            let base = Duration::from_secs(base);
            let free = Increment { factor: Value::Float(factor), random_time: Duration::from_secs(chance), ..Increment::default() };
            let time = free.sentence(base, count, random).unwrap();
            prop_assert!(time >= base);
            prop_assert!(free.sentence(base, count + 1, random).unwrap() >= time || factor < 0.0);
            let limit = Duration::from_secs(limit);
            let limited = Increment { max_time: Some(limit), ..free };
            prop_assert!(limited.sentence(base, count, random).unwrap() <= limit + Duration::from_secs(chance));
        }
    }
}
