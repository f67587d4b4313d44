//! `status`: trees of lines.
//!
//! Pure. A server tells pairs of a label and a value; a jail, pairs of a label and such pairs.

use crate::python::Value;

/// The server's status; behind its pairs, with `--all`, the jails by their names.
pub(super) fn server(value: &Value) -> Option<String> {
    let Value::List(items) = value else { return None };
    let (items, jails) = match items.split_last() {
        Some((Value::Map(jails), items)) => (items, Some(jails)),
        _ => (&items[..], None),
    };
    let mut lines = vec!["Status".to_owned()];
    let mut left = items.len() + usize::from(jails.is_some());
    for item in items {
        left -= 1;
        let mut line = format!("{} ", branch(left == 0));
        leaf(item, &mut line)?;
        lines.push(line);
    }
    if let Some(jails) = jails {
        lines.push("`- Status for the jails:".to_owned());
        for (at, (name, groups)) in jails.iter().enumerate() {
            let last = at + 1 == jails.len();
            lines.push(format!("   {} Jail: {}", branch(last), name.print()));
            tree(groups, &format!("   {}", stem(last)), &mut lines)?;
        }
    }
    Some(lines.join("\n"))
}

/// One jail's status.
pub(super) fn jail(name: &str, value: &Value) -> Option<String> {
    let mut lines = vec![format!("Status for the jail: {name}")];
    tree(value, "", &mut lines)?;
    Some(lines.join("\n"))
}

/// The groups of a jail, each with its leaves.
fn tree(value: &Value, indent: &str, lines: &mut Vec<String>) -> Option<()> {
    let Value::List(groups) = value else { return None };
    for (at, group) in groups.iter().enumerate() {
        let (label, Value::List(leaves)) = pair(group)? else { return None };
        let last = at + 1 == groups.len();
        lines.push(format!("{indent}{} {}", branch(last), label.print()));
        for (at, item) in leaves.iter().enumerate() {
            let branch = branch(at + 1 == leaves.len());
            let mut line = format!("{indent}{}{branch} ", stem(last));
            leaf(item, &mut line)?;
            lines.push(line);
        }
    }
    Some(())
}

fn branch(last: bool) -> &'static str {
    if last { "`-" } else { "|-" }
}

fn stem(last: bool) -> &'static str {
    if last { "   " } else { "|  " }
}

/// Appends a label, a tab and a value; of a list all of it, and there may be many.
fn leaf(item: &Value, line: &mut String) -> Option<()> {
    let (label, value) = pair(item)?;
    line.push_str(&label.print());
    line.push_str(":\t");
    match value {
        Value::List(several) => super::join(line, several, " "),
        other => line.push_str(&other.print()),
    }
    Some(())
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Tuple(pair) | Value::List(pair) => match &pair[..] {
            [label, value] => Some((label, value)),
            _ => None,
        },
        _ => None,
    }
}
