//! What prefix and pattern captured, as Fail2Ban puts it together, and who failed by it (SPEC §2.1, §2.2(8)).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::filter::UseDns;
use crate::filter::pattern::{Effort, Group, Role};
use crate::filter::session::Groups;
use crate::filter::tags::fail2ban::group as name_of;
use crate::filter::text::lossy;
use crate::id::Id;
use crate::python::repr;
use crate::subnet::Subnet;

/// Bytes of a group's text that are kept. A longer id is cut, but still too long to be counted.
pub(super) const VALUE: usize = 2_000;
/// The same where nobody waits: all that a line can hold.
pub(super) const PATIENT_VALUE: usize = 64 * 1024;

/// The groups of one pattern; none: took no part in the match.
pub(super) type Captured = Vec<(Arc<str>, Option<String>)>;

/// A group, and what it captured.
type Capture<'t> = (&'t Group, Option<&'t [u8]>);

/// What a line was, as far as its groups tell.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) groups: Vec<(Arc<str>, SmolStr)>,
    /// `mlfid`
    pub(super) connection: Option<String>,
    pub(super) nofail: bool,
    pub(super) gained: bool,
    pub(super) forget: bool,
}

impl Found {
    /// Of a prefix and of the pattern that matched behind it. With `with_nothing` a group of the pattern that took no
    /// part wipes out what the prefix knows.
    pub(super) fn new<'t>(
        prefix: impl Iterator<Item = (&'t Group, Option<&'t [u8]>)> + Clone,
        pattern: impl Iterator<Item = (&'t Group, Option<&'t [u8]>)> + Clone,
        with_nothing: bool,
        effort: Effort,
    ) -> Self {
        let most = if effort == Effort::Patient { PATIENT_VALUE } else { VALUE };
        if prefix.clone().chain(pattern.clone()).any(|(group, _)| part_of(&group.written).is_some()) {
            let all = overlaid(captured(prefix, most), captured(pattern, most), with_nothing);
            let all = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
            return Self::of(all.map(|(name, value)| (name, Cow::Owned(value))));
        }
        let mut all: SmallVec<[Capture<'_>; 12]> = prefix.collect();
        all.retain(|(group, _)| group.role != Role::Content);
        for (group, value) in pattern {
            match all.iter_mut().find(|(known, _)| known.written == group.written) {
                Some((_, known)) if value.is_some() || with_nothing => *known = value,
                Some(_) => {}
                None => all.push((group, value)),
            }
        }
        let mut found = Self { groups: Vec::with_capacity(all.len()), ..Self::default() };
        let connected = all.iter().any(|(group, value)| group.role == Role::Session && value.is_some());
        for (group, value) in all {
            let Some(value) = value else { continue };
            let says = !value.is_empty();
            match group.role {
                Role::NoFail => found.nofail = says,
                Role::Gained => found.gained = says,
                Role::Forget => found.forget = says,
                Role::Session => found.connection = Some(lossy(value, most).into_owned()),
                _ => {}
            }
            if !connected || !matches!(group.role, Role::NoFail | Role::Gained | Role::Forget) {
                found.groups.push((Arc::clone(&group.written), lossy(value, most).into()));
            }
        }
        found
    }

    fn of<'t>(all: impl Iterator<Item = (Arc<str>, Cow<'t, str>)>) -> Self {
        let mut found = Self { groups: Vec::with_capacity(8), ..Self::default() };
        for (name, value) in all {
            let says = !value.is_empty();
            match &*name {
                "nofail" => found.nofail = says,
                "mlfgained" => found.gained = says,
                "mlfforget" => found.forget = says,
                "mlfid" => found.connection = Some(value.clone().into_owned()),
                _ => {}
            }
            found.groups.push((name, value.into()));
        }
        if found.connection.is_some() {
            found.groups.retain(|(name, _)| !matches!(&**name, "nofail" | "mlfgained" | "mlfforget"));
        }
        found
    }
}

/// The groups of a prefix with those of a pattern on top.
pub(super) fn overlaid(mut prefix: Captured, pattern: Captured, with_nothing: bool) -> Captured {
    prefix.retain(|(name, _)| &**name != "content");
    for (name, value) in pattern {
        if value.is_some() || with_nothing {
            set(&mut prefix, &name, value);
        }
    }
    prefix
}

/// The groups of one pattern, its alternatives and tuples put in their places.
pub(super) fn captured<'t>(
    groups: impl Iterator<Item = (&'t Group, Option<&'t [u8]>)>,
    most: usize,
) -> Captured {
    let mut all: Captured = groups
        .map(|(group, value)| {
            (Arc::clone(&group.written), value.map(|value| lossy(value, most).into_owned()))
        })
        .collect();
    let mut special: Vec<_> = all.iter().filter(|(name, _)| part_of(name).is_some()).cloned().collect();
    special.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, value) in &special {
        if let Some((false, filled)) = part_of(name)
            && value.as_ref().is_some_and(|value| !value.is_empty())
            && get(&all, filled).is_none_or(str::is_empty)
        {
            set(&mut all, filled, value.clone());
        }
    }
    let tuples = special.iter().filter_map(|(name, value)| match part_of(name) {
        Some((true, whole)) => Some((whole, value)),
        _ => None,
    });
    let mut whole: Vec<(&str, Vec<Option<String>>)> = Vec::new();
    for (name, value) in tuples {
        match whole.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.clone()),
            None => whole.push((name, vec![get(&all, name).map(str::to_owned), value.clone()])),
        }
    }
    for (name, values) in whole {
        set(&mut all, name, Some(tuple(&values)));
    }
    all
}

/// What `alt_NAME_1` (false) or `tuple_NAME_1` (true) is for.
pub(super) fn part_of(name: &str) -> Option<(bool, &str)> {
    let (is_tuple, rest) = match (name.strip_prefix("alt_"), name.strip_prefix("tuple_")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return None,
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = rest.rsplit_once('_').filter(|(_, number)| digits(number)).map_or(rest, |(whole, _)| whole);
    Some((is_tuple, name_of(whole)))
}

fn get<'c>(all: &'c Captured, name: &str) -> Option<&'c str> {
    all.iter().find(|(known, _)| &**known == name).and_then(|(_, value)| value.as_deref())
}

fn set(all: &mut Captured, name: &str, value: Option<String>) {
    match all.iter_mut().find(|(known, _)| &**known == name) {
        Some((_, known)) => *known = value,
        None => all.push((name.into(), value)),
    }
}

/// A Python tuple as Python writes it.
fn tuple(values: &[Option<String>]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| value.as_ref().map_or_else(|| "None".to_owned(), |value| repr(value)))
        .collect();
    format!("({})", values.join(", "))
}

/// Who failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// No group says.
    Nobody,
    /// A name where names are not looked up.
    Unusable,
    /// Its `address`, where the id is another one.
    Known { id: Id, is_name: bool, address: Option<String> },
}

/// Whether the groups say who it was.
pub(super) fn is_told(groups: &Groups) -> bool {
    groups.iter().any(|(name, _)| matches!(&**name, "ip4" | "ip6" | "dns" | "fid"))
}

/// Who the groups say it was: an address, else a name, else an id; an id besides an address comes first.
pub(super) fn who(groups: &Groups, use_dns: UseDns) -> Who {
    who_of(|name| groups.iter().find(|(known, _)| &**known == name).map(|(_, text)| &**text), use_dns)
}

/// The same of groups that are told by their names.
pub(super) fn who_of<'t>(text: impl Fn(&str) -> Option<&'t str>, use_dns: UseDns) -> Who {
    let (fid, dns) = (text("fid"), text("dns"));
    let own = |text: &str| if use_dns == UseDns::Raw { raw(text) } else { named(text) };
    let known = |id| Who::Known { id, is_name: false, address: None };
    let besides = |address: Id, written: &str| match fid.filter(|fid| *fid != written) {
        Some(fid) => Who::Known { id: own(fid), is_name: false, address: Some(address.to_string()) },
        None => known(address),
    };
    match (text("ip4").or_else(|| text("ip6")), dns) {
        (Some(ip), _) => besides(address(ip, text("cidr")), ip),
        (None, Some(name)) if use_dns == UseDns::Raw => besides(raw(name), name),
        (None, Some(name)) => match name.parse::<IpAddr>() {
            Ok(address) => known(Subnet::from(address).into()),
            Err(_) if use_dns == UseDns::No => Who::Unusable,
            Err(_) => Who::Known { id: Id::Text(name.into()), is_name: true, address: None },
        },
        (None, None) => fid.map_or(Who::Nobody, |fid| known(own(fid))),
    }
}

/// What `<HOST>` or `<SUBNET>` captured; what is no address stays text.
///
/// A length that no prefix has, and 0, mean the address alone: nobody bans everybody.
fn address(text: &str, cidr: Option<&str>) -> Id {
    let Ok(single) = text.parse::<IpAddr>() else { return Id::Text(text.into()) };
    let alone = Subnet::from(single);
    match cidr.filter(|cidr| !cidr.is_empty()).map(str::parse) {
        Some(Ok(0)) => zero(single).into(),
        Some(Ok(length)) => Subnet::new(single, length).unwrap_or(alone).into(),
        Some(Err(_)) | None => alone.into(),
    }
}

/// An id that may be an address, a prefix, or any other text.
fn named(text: &str) -> Id {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match inside.parse::<Subnet>() {
        Ok(net) if net.length() == 0 => zero(net.address()).into(),
        Ok(net) => net.into(),
        Err(_) => Id::Text(text.into()),
    }
}

/// An id that is taken as it is written.
fn raw(text: &str) -> Id {
    text.parse::<IpAddr>().map_or_else(|_| Id::Text(text.into()), |address| Subnet::from(address).into())
}

/// Fail2Ban writes `0.0.0.0/0` as 0.0.0.0.
fn zero(family: IpAddr) -> Subnet {
    match family {
        IpAddr::V4(_) => Subnet::from(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => Subnet::from(std::net::Ipv6Addr::UNSPECIFIED),
    }
}
