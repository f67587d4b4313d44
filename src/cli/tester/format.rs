//! `--out`: one failure as the format says.
//!
//! Pure but for the look-up of an address' host, where a format has `<ip-host>`.

use std::net::IpAddr;

use super::found::{Found, Names};
use crate::filter::{Datum, Entry};
use crate::id::Id;
use crate::python::{Value, repr};
use crate::time::UnixTime;

/// What is printed of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    Id,
    Ip,
    Lines,
    Row,
    /// A name of what was captured.
    Name(String),
    /// A text with tags.
    Text(String),
}

impl Format {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "id" | "fid" => Self::Id,
            "ip" => Self::Ip,
            "msg" => Self::Lines,
            "row" => Self::Row,
            text if text.contains('<') => Self::Text(text.to_owned()),
            name => Self::Name(name.to_owned()),
        }
    }

    /// The lines that are printed of the failures of one line of the log.
    pub(super) fn write(&self, found: &[Found], now: UnixTime, names: &mut dyn Names) -> Vec<String> {
        match self {
            Self::Id => found.iter().map(|found| id(found.id.as_ref())).collect(),
            Self::Ip => found.iter().map(ip).collect(),
            Self::Lines => found.iter().flat_map(|found| found.hit.data.lines()).map(whole).collect(),
            Self::Row => found.iter().map(row).collect(),
            Self::Name(name) => {
                let value =
                    |found: &Found| found.hit.data.get(name).map_or_else(|| "None".to_owned(), printed);
                found.iter().map(value).collect()
            }
            Self::Text(text) => template(text, found, now, names),
        }
    }

    /// What is printed of a line that is no failure.
    pub(super) fn inverted(&self, line: &str) -> String {
        match self {
            Self::Text(text) => replaced(text, &mut |tag| match tag {
                "msg" | "matches" => Some(line.to_owned()),
                tag if is_name(tag) => Some(String::new()),
                _ => None,
            }),
            _ => line.to_owned(),
        }
    }
}

/// With the lines that led to it, if the format wants them by `<msg>` and there are several, each on a line of its own.
fn template(text: &str, found: &[Found], now: UnixTime, names: &mut dyn Names) -> Vec<String> {
    const LINE: &str = "\0msg\0";
    let (mut done, mut waiting, mut wraps) = (Vec::new(), Vec::new(), false);
    for found in found {
        let lines = found.hit.data.lines();
        let mut wants = |tag: &str| match tag {
            "msg" if wraps || lines.len() > 1 => {
                wraps = true;
                Some(LINE.to_owned())
            }
            tag => value(tag, found, now, names).map(|value| value.replace('\0', "\\x00")),
        };
        let text = replaced(text, &mut wants);
        if wraps {
            waiting.extend(lines.iter().map(|line| text.replace(LINE, &whole(line))));
        } else {
            done.push(text);
        }
    }
    done.extend(waiting);
    done
}

/// The text with the tags put in that mean something.
fn replaced(text: &str, value: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest[1..].find(['<', '>', ' ']).map(|end| end + 1);
        let tag = end.filter(|end| *end > 1 && rest[*end..].starts_with('>'));
        if let Some((end, value)) = tag.and_then(|end| Some((end, value(&rest[1..end])?))) {
            out.push_str(&value);
            rest = &rest[end + 1..];
        } else {
            out.push('<');
            rest = &rest[1..];
        }
    }
    out + rest
}

/// What a tag stands for; none: nothing.
fn value(tag: &str, found: &Found, now: UnixTime, names: &mut dyn Names) -> Option<String> {
    let data = &found.hit.data;
    let of_data = data.text("ip").map(Id::parse);
    let id_of_ip = of_data.as_ref().or(found.id.as_ref());
    let address = || match id_of_ip {
        Some(Id::Net(net)) => Some(net.address()),
        _ => None,
    };
    Some(match tag {
        "ip" => ip(found),
        "fid" => id(found.id.as_ref()),
        "family" => match address() {
            Some(IpAddr::V4(_)) => "inet4".to_owned(),
            Some(IpAddr::V6(_)) => "inet6".to_owned(),
            None => "None".to_owned(),
        },
        "ip-rev" => id_of_ip.map(reversed).unwrap_or_default(),
        "ip-host" => {
            let of_name = |id: &Id| names.addresses(&id.to_string()).first().copied();
            let address = address().or_else(|| id_of_ip.and_then(of_name));
            address.and_then(|address| names.host(address)).unwrap_or_else(|| "None".to_owned())
        }
        "failures" | "bancount" | "restored" => "0".to_owned(),
        "time" => time(found.hit.time.or(Some((now, false)))),
        "matches" | "msg" => data.lines().iter().map(whole).collect::<Vec<_>>().join("\n"),
        "raw-ticket" => format!(
            "BanTicket: ip={} time={} bantime=None bancount=0 #attempts=0 matches={}",
            id(found.id.as_ref()),
            time(found.hit.time.or(Some((now, false)))),
            lines(data.lines())
        ),
        "br" => "\n".to_owned(),
        "sp" => " ".to_owned(),
        tag if is_name(tag) => match &*tag[2..].to_lowercase() {
            "id" => data.get("fid").map(printed).unwrap_or_default(),
            "port" => data.get("fport").or_else(|| data.get("port")).map(printed).unwrap_or_default(),
            name => data.get(name).map(printed).unwrap_or_default(),
        },
        _ => return None,
    })
}

/// `F-NAME`
fn is_name(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    tag.strip_prefix("F-").is_some_and(|name| !name.is_empty() && name.chars().all(word))
}

fn row(found: &Found) -> String {
    let data = found.hit.data.iter().filter(|(name, _)| *name != "matches");
    let data: Vec<String> = data.map(|(name, value)| format!("{}: {}", repr(name), written(value))).collect();
    let id = match (&found.id, found.hit.data.get("fid")) {
        (Some(Id::Text(text)), Some(Datum::Tuple(tuple))) if **text == **tuple => tuple.clone(),
        (Some(id), _) => repr(&id.to_string()),
        (None, _) => "None".to_owned(),
    };
    format!("[{id},\t{},\t{{{}}}],", time(found.hit.time), data.join(", "))
}

fn time(time: Option<(UnixTime, bool)>) -> String {
    match time {
        None => "None".to_owned(),
        Some((time, true)) => time.secs().to_string(),
        Some((time, false)) => Value::Float(time.micros() as f64 / 1e6).to_string(),
    }
}

fn id(id: Option<&Id>) -> String {
    id.map_or_else(|| "None".to_owned(), ToString::to_string)
}

/// The address, where the id is another one.
fn ip(found: &Found) -> String {
    found.hit.data.get("ip").map_or_else(|| id(found.id.as_ref()), printed)
}

/// As the name of a host that asks for the name of this one.
fn reversed(id: &Id) -> String {
    let Id::Net(net) = id else { return String::new() };
    let parts: Vec<String> = match net.address() {
        IpAddr::V4(_) => id.to_string().split('.').rev().map(str::to_owned).collect(),
        IpAddr::V6(address) => {
            let octets = address.octets().into_iter().rev();
            octets.map(|octet| format!("{:x}.{:x}", octet & 0xf, octet >> 4)).collect()
        }
    };
    parts.join(".") + "."
}

fn whole(line: &Entry) -> String {
    line.line.to_string()
}

/// `str` of it.
fn printed(value: &Datum) -> String {
    match value {
        Datum::Text(text) => text.clone(),
        other => written(other),
    }
}

/// `repr` of it.
fn written(value: &Datum) -> String {
    match value {
        Datum::Text(text) => repr(text),
        Datum::Tuple(text) => text.clone(),
        Datum::Flag => "1".to_owned(),
        Datum::Users(users) => {
            let users: Vec<String> = users.iter().map(|user| repr(user)).collect();
            format!("{{{}}}", users.join(", "))
        }
        Datum::Lines(entries) => lines(entries),
    }
}

/// Lines, each in its three parts.
fn lines(entries: &[Entry]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|entry| {
            let [before, date, behind] = entry.parts().map(repr);
            format!("({before}, {date}, {behind})")
        })
        .collect();
    format!("[{}]", entries.join(", "))
}
