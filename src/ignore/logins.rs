//! Who is logged in from afar, and whose logins keep their host from being banned.
//!
//! Pure. What the system says is read by [`crate::logins`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::subnet::Subnet;

/// Somebody who has proved who he is and has not left yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    /// From where.
    pub host: IpAddr,
    /// Who.
    pub user: Arc<str>,
    /// His session and terminal, such as `session 5, pts/0`; may be empty.
    pub place: Arc<str>,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is logged in from {}", self.user, Subnet::from(self.host))?;
        if self.place.is_empty() { Ok(()) } else { write!(f, " ({})", self.place) }
    }
}

/// Whose hosts are not banned automatically while they are logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SpareLogins {
    /// Nobody's: so it is in Fail2Ban.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// Those of these users.
    Users(Vec<Arc<str>>),
}

impl SpareLogins {
    /// What keeps hosts from being banned, each with its reason.
    pub fn of(&self, logins: &[Login]) -> Vec<(Subnet, Arc<str>)> {
        let spared = |login: &&Login| match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Users(users) => users.contains(&login.user),
        };
        let rule = |login: &Login| (login.host.into(), login.to_string().into());
        logins.iter().filter(spared).map(rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_hosts_are_spared_and_why() {
        let login = |host: &str, user: &str, place: &str| Login {
            host: host.parse().unwrap(),
            user: user.into(),
            place: place.into(),
        };
        let logins =
            [login("::ffff:198.51.100.7", "root", "session 5, pts/0"), login("2001:db8::7", "anna", "")];
        let root = "198.51.100.7: root is logged in from 198.51.100.7 (session 5, pts/0)";
        let anna = "2001:db8::7: anna is logged in from 2001:db8::7";
        for (spared, want) in [
            (SpareLogins::Nobody, &[][..]),
            (SpareLogins::Everybody, &[root, anna]),
            (SpareLogins::Users(vec!["anna".into(), "bob".into()]), &[anna]),
            (SpareLogins::Users(Vec::new()), &[]),
        ] {
            let found: Vec<_> =
                spared.of(&logins).iter().map(|(net, rule)| format!("{net}: {rule}")).collect();
            assert_eq!(found, want, "{spared:?}");
        }
    }
}
