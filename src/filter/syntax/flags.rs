//! What Fail2Ban changes in a pattern before Python reads it.

/// What Fail2Ban does with flags that would hold for the whole of Python's expression but stand in a group:
/// `((?i)x)` and `(?:(?i)x)` become `(?i:x)`.
pub(in crate::filter) fn local_flags(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(open) = rest.find('(') {
        let group = &rest[open + 1..];
        let flags = group.strip_prefix("?:").unwrap_or(group).strip_prefix("(?").and_then(|flags| {
            let length = flags.bytes().take_while(u8::is_ascii_lowercase).count();
            (length > 0 && flags[length..].starts_with(')')).then(|| flags.split_at(length))
        });
        out.push_str(&rest[..open]);
        if let Some((flags, after)) = flags.filter(|_| !out.ends_with('\\')) {
            out.extend(["(?", flags, ":"]);
            rest = &after[1..];
        } else {
            out.push('(');
            rest = group;
        }
    }
    out + rest
}
