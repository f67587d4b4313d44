//! A program's way through a line.

use super::digits::Digits;
use super::{GROUPS, Op, Program};
use crate::filter::syntax::ByteSet;

/// Turns that one search may take, besides one for each byte.
const TURNS: usize = 3_000;

/// It cannot tell: the expression itself must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::filter::date) struct Unsure;

/// Where the groups stand; those that took no part are not in `set`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::filter::date) struct Spans {
    places: [(u32, u32); GROUPS],
    set: u32,
    /// Behind the last byte of the line that was looked at.
    pub(in crate::filter::date) far: usize,
}

impl Spans {
    /// Where a group stands.
    pub(in crate::filter::date) fn get(&self, group: usize) -> Option<(usize, usize)> {
        let (start, end) = *self.places.get(group).filter(|_| self.set & (1 << group) != 0)?;
        Some((start as usize, end as usize))
    }

    fn put(&mut self, group: usize, start: usize, end: usize) {
        self.places[group] = (start as u32, end as u32);
        self.set |= 1 << group;
    }
}

/// Where a field ends.
enum Ends {
    Here(usize),
    /// It has been seen where the whole match ends, if there is one.
    All(Option<usize>),
}

struct Walk<'w> {
    line: &'w [u8],
    spans: &'w mut Spans,
    turns: usize,
}

impl Walk<'_> {
    fn saw(&mut self, to: usize) {
        self.spans.far = self.spans.far.max(to);
    }
}

impl Program {
    /// The leftmost match that begins at `from` or later: where it begins and ends.
    pub(in crate::filter::date) fn find(
        &self,
        line: &[u8],
        from: usize,
        spans: &mut Spans,
    ) -> Result<Option<(usize, usize)>, Unsure> {
        (spans.set, spans.far) = (0, 0);
        let mut walk = Walk { line, spans, turns: TURNS + line.len() };
        if self.anchored {
            let end = if from == 0 { self.from(0, 0, &mut walk)? } else { None };
            return Ok(end.map(|end| (0, end)));
        }
        let mut at = from;
        while at <= line.len() {
            if let Some(first) = self.first {
                match line[at..].iter().position(|byte| first.contains(*byte)) {
                    Some(skipped) => at += skipped,
                    None => return Ok(None),
                }
            }
            if line.get(at).is_none_or(|byte| byte & 0xc0 != 0x80) {
                walk.spans.set = 0;
                if let Some(end) = self.from(0, at, &mut walk)? {
                    return Ok(Some((at, end)));
                }
            }
            at += 1;
        }
        Ok(None)
    }

    /// Where a match from this instruction and place on ends.
    fn from(&self, mut op: usize, mut at: usize, walk: &mut Walk) -> Result<Option<usize>, Unsure> {
        let line = walk.line;
        loop {
            walk.saw(at + 1);
            let goes_on = match &self.ops[op] {
                Op::Byte(byte) => {
                    let fits = line.get(at) == Some(byte);
                    at += 1;
                    fits
                }
                Op::Set { set, wide } => {
                    let fits = fits(line, at, *set, *wide)?;
                    at += 1;
                    fits
                }
                Op::Run { set, wide, least, most } => {
                    let mut length = 0;
                    while length < *most && fits(line, at + length, *set, *wide)? {
                        length += 1;
                    }
                    walk.saw(at + length + 1);
                    walk.turns = walk.turns.checked_sub(length / 8).ok_or(Unsure)?;
                    if length < *least {
                        return Ok(None);
                    }
                    for length in (*least + 1..=length).rev() {
                        if let Some(end) = self.choice(op + 1, at + length, walk)? {
                            return Ok(Some(end));
                        }
                    }
                    at += *least;
                    true
                }
                Op::Field(digits, group) => match self.field((op, *digits, *group), at, walk)? {
                    Ends::Here(end) => {
                        at = end;
                        true
                    }
                    Ends::All(end) => return Ok(end),
                },
                Op::Open(group) => {
                    walk.spans.places[*group].0 = at as u32;
                    true
                }
                Op::Close(group) => {
                    let start = walk.spans.places[*group].0 as usize;
                    walk.spans.put(*group, start, at);
                    true
                }
                Op::Same(group) => {
                    let same =
                        walk.spans.get(*group).is_some_and(|(start, _)| line.get(at) == Some(&line[start]));
                    at += 1;
                    same
                }
                Op::Choice(choice) => {
                    match [0, 1].map(|way| may_begin(choice.begins[way], line, at)) {
                        [false, false] => return Ok(None),
                        [true, false] => op += 1,
                        [false, true] => op = choice.second,
                        [true, true] => {
                            if let Some(end) = self.choice(op + 1, at, walk)? {
                                return Ok(Some(end));
                            }
                            op = choice.second;
                        }
                    }
                    continue;
                }
                Op::Jump(to) => {
                    op = *to;
                    continue;
                }
                Op::Start => at == 0,
                Op::End => {
                    walk.saw(at + 2);
                    at == line.len() || line[at..] == *b"\n"
                }
                Op::Edge => is_word(line, at.checked_sub(1))? != is_word(line, Some(at))?,
                Op::Bound { is_end } => {
                    let (before, behind) = (is_word(line, at.checked_sub(1))?, is_word(line, Some(at))?);
                    // At the very end there is nothing that could be no part of a word.
                    let holds_at_end = *is_end || before || at == 0;
                    !(before && behind) && (at < line.len() || holds_at_end)
                }
                Op::Done => return Ok(Some(at)),
            };
            if !goes_on {
                return Ok(None);
            }
            op += 1;
        }
    }

    /// Tries each length of a field but the last one that may fit.
    fn field(
        &self,
        (op, digits, group): (usize, Digits, usize),
        at: usize,
        walk: &mut Walk,
    ) -> Result<Ends, Unsure> {
        let line = walk.line;
        walk.saw(at + digits.looks_at(line.get(at)) + 1);
        let mut last = 0;
        for length in digits.lengths(line, at)?.into_iter().take_while(|length| *length > 0) {
            let length = usize::from(length);
            // Mostly the next byte tells which length is right.
            if let Op::Byte(byte) = &self.ops[op + 1]
                && line.get(at + length) != Some(byte)
            {
                continue;
            }
            if last > 0 {
                walk.spans.put(group, at, at + last);
                if let Some(end) = self.choice(op + 1, at + last, walk)? {
                    return Ok(Ends::All(Some(end)));
                }
            }
            last = length;
        }
        if last == 0 {
            return Ok(Ends::All(None));
        }
        walk.spans.put(group, at, at + last);
        Ok(Ends::Here(at + last))
    }

    /// One of several ways; if it leads nowhere, the groups are as they were.
    fn choice(&self, op: usize, at: usize, walk: &mut Walk) -> Result<Option<usize>, Unsure> {
        walk.turns = walk.turns.checked_sub(1).ok_or(Unsure)?;
        let set = walk.spans.set;
        let end = self.from(op, at, walk)?;
        if end.is_none() {
            walk.spans.set = set;
        }
        Ok(end)
    }
}

/// Whether the character at a place is of a set; of one beyond ASCII only if the set has none of those.
fn fits(line: &[u8], at: usize, set: ByteSet, wide: bool) -> Result<bool, Unsure> {
    match line.get(at) {
        Some(byte) if *byte >= 0x80 => {
            if wide {
                Err(Unsure)
            } else {
                Ok(false)
            }
        }
        byte => Ok(byte.is_some_and(|byte| set.contains(*byte))),
    }
}

fn is_word(line: &[u8], at: Option<usize>) -> Result<bool, Unsure> {
    match at.and_then(|at| line.get(at)) {
        Some(byte) if *byte >= 0x80 => Err(Unsure),
        byte => Ok(byte.is_some_and(|byte| ByteSet::WORD.contains(*byte))),
    }
}

/// Whether a way that begins so may match here; none: it may begin with nothing.
fn may_begin(begins: Option<ByteSet>, line: &[u8], at: usize) -> bool {
    begins.is_none_or(|set| line.get(at).is_some_and(|byte| set.contains(*byte)))
}
