//! What host names stood for when they were last asked: five minutes long, as in Fail2Ban.
//!
//! Pure. A log chooses which names are asked for, so they are bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::time::UnixTime;

/// How long an answer holds; also that there is none.
const HOLDS: Duration = Duration::from_secs(300);
/// Names remembered.
const KNOWN: usize = 1000;
/// Addresses remembered of one name.
const ADDRESSES: usize = 100;

/// Names and their addresses.
#[derive(Debug, Default)]
pub struct Names(HashMap<Arc<str>, (Vec<IpAddr>, UnixTime)>);

impl Names {
    /// The addresses of a name, if they are known still.
    pub fn get(&self, name: &str, now: UnixTime) -> Option<&[IpAddr]> {
        let (addresses, at) = self.0.get(name)?;
        (*at <= now && now.since(*at) < HOLDS).then_some(addresses)
    }

    /// Remembers an answer.
    pub fn learn(&mut self, name: Arc<str>, mut addresses: Vec<IpAddr>, now: UnixTime) {
        if self.0.len() >= KNOWN && !self.0.contains_key(&name) {
            self.0.retain(|_, (_, at)| *at <= now && now.since(*at) < HOLDS);
            if self.0.len() >= KNOWN
                && let Some(oldest) =
                    self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(name, _)| name.clone())
            {
                self.0.remove(&oldest);
            }
        }
        addresses.truncate(ADDRESSES);
        self.0.insert(name, (addresses, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_five_minutes_and_the_oldest_goes_first() {
        let at = |second: i64| UnixTime::from_secs(1_700_000_000 + second);
        let mut names = Names::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        names.learn("a.example".into(), vec![address], at(0));
        names.learn("b.example".into(), vec![], at(1));
        assert_eq!(names.get("a.example", at(299)), Some(&[address][..]));
        assert_eq!(names.get("b.example", at(299)), Some(&[][..]), "that there is none is known too");
        assert_eq!(names.get("a.example", at(300)), None);
        for n in 0..KNOWN {
            names.learn(format!("{n}.example").into(), vec![address; 200], at(2));
        }
        assert_eq!((names.get("a.example", at(2)), names.get("b.example", at(2))), (None, None));
        assert_eq!(names.get("999.example", at(2)).map(<[_]>::len), Some(ADDRESSES));
        assert_eq!(names.0.len(), KNOWN);
    }
}
