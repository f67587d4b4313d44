//! Whom a jail counts and bans: nearly always an address or prefix, else a text such as a user name.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::subnet::Subnet;

/// The key of a failure and of a ban.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    /// An address or prefix: what a firewall can ban.
    Net(Subnet),
    /// Any other text; only jails without a firewall can use it.
    Text(Arc<str>),
}

impl Id {
    /// Reads an id; what is neither address nor prefix is kept as text.
    pub fn parse(text: &str) -> Self {
        if let Ok(four) = text.parse::<Ipv4Addr>() {
            // Most are this.
            return Self::Net(four.into());
        }
        text.parse().map_or_else(|_| Self::Text(text.into()), Self::Net)
    }

    /// The address or prefix, if it is one.
    pub fn net(&self) -> Option<Subnet> {
        match self {
            Self::Net(net) => Some(*net),
            Self::Text(_) => None,
        }
    }
}

impl From<Subnet> for Id {
    fn from(net: Subnet) -> Self {
        Self::Net(net)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Net(net) => net.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, a prefix or a name")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                Ok(Id::parse(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
