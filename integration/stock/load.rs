//! Every stock filter loads, in each of its modes, for each kind of log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use stockade::filter::Filter;
use stockade::filter::date::Zone;

use super::{filter, on_all_cores, trees};

/// Files that are there to be included: no pattern stands in them, so they are no filters.
const INCLUDED: [&str; 5] =
    ["apache-common", "botsearch-common", "common", "exim-common", "nginx-error-common"];

/// What Fail2Ban itself refuses.
const REFUSED: [(&str, &str); 1] = [
    // Its pattern names a type that only `selinux-ssh`, which includes it, defines.
    ("selinux-common", "%(_type)s is no option of this section nor of [DEFAULT]"),
];

/// Fewer in a tree, and something is wrong with the way that they are looked for.
const FILTERS: usize = 85;

/// The names of the filters of a tree.
fn names(tree: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(tree.join("filter.d")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".conf").map(str::to_owned)).collect()
}

/// The modes that a filter's file has expressions for, and none.
fn modes(tree: &Path, name: &str) -> BTreeSet<Option<String>> {
    let text = fs::read(tree.join(format!("filter.d/{name}.conf"))).unwrap();
    let text = String::from_utf8_lossy(&text);
    let named = text.lines().filter_map(|line| line.strip_prefix("mdre-"));
    let words = named.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect());
    words.map(Some).chain([None]).collect()
}

#[test]
fn every_stock_filter_loads_in_every_mode() {
    let mut differ = BTreeMap::new();
    let mut faults = Vec::new();
    for tree in trees() {
        let (mut filters, mut combinations) = (0, 0);
        for name in names(&tree) {
            filters += 1;
            for mode in modes(&tree, &name) {
                for logtype in ["file", "short", "journal"] {
                    let said = [("mode", mode.as_deref()), ("logtype", Some(logtype))];
                    let options: Vec<_> = said
                        .into_iter()
                        .filter_map(|(option, word)| Some((option.to_owned(), word?.to_owned())))
                        .collect();
                    let place = format!("{}: {name} {options:?}", tree.display());
                    let options = match filter(&tree, &name, &options, &[]) {
                        Ok(resolved) => resolved.options(),
                        Err(trouble) if REFUSED.contains(&(&*name, &*trouble)) => {
                            println!("{place} is refused, as by Fail2Ban: {trouble}");
                            continue;
                        }
                        Err(trouble) => {
                            faults.push(format!("{place}: {trouble}"));
                            continue;
                        }
                    };
                    if options.patterns.is_empty() != INCLUDED.contains(&name.as_str()) {
                        faults.push(format!("{place}: {} patterns", options.patterns.len()));
                    }
                    combinations += 1;
                    // Most are the same in each tree, and for each kind of log.
                    differ.entry(format!("{options:?}")).or_insert((place, options));
                }
            }
        }
        println!("{}: {filters} filters, {combinations} with their modes and kinds of log", tree.display());
        if filters < FILTERS {
            faults.push(format!("{}: only {filters} filters", tree.display()));
        }
    }
    println!("{} of them differ", differ.len());
    let differ: Vec<_> = differ.into_values().collect();
    faults.extend(on_all_cores(&differ, |(place, options)| {
        let errors = Filter::with_zone(options, Zone::utc()).err().unwrap_or_default();
        errors.iter().map(|error| format!("{place}: {error}")).collect()
    }));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
