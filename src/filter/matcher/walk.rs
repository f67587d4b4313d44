//! One try: from a place in the text through the instructions, and back.

use super::memory::Left;
use super::{Enclose, Frame, Kind, Matcher, NOWHERE, Op, Run, Stack, TooMany, spend};
use crate::filter::syntax::{Assertion, ByteSet, char_at, is_first, is_word, same_letter};
use crate::filter::text::begins;

impl Matcher {
    pub(super) fn find_at<const WIDE: bool, const REMEMBER: bool>(
        &self,
        text: &[u8],
        start: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        let (mut op, mut at) = self.begin::<REMEMBER>(start, stack);
        loop {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            let next = match &self.ops[op] {
                Op::Literal(bytes) if stands(bytes, text, at) => {
                    at += bytes.len();
                    Some(op + 1)
                }
                Op::Class(set) if is_in(set, text, at) => {
                    at += 1;
                    Some(op + 1)
                }
                Op::Chars(set, _) if !WIDE && is_in(set, text, at) => {
                    at += 1;
                    Some(op + 1)
                }
                Op::Chars(_, chars) if WIDE => chars.take(text, at).map(|length| {
                    at += length;
                    op + 1
                }),
                Op::Literal(_) | Op::Class(_) | Op::Chars(..) => None,
                Op::Run(run) if !REMEMBER && run.is_simple::<WIDE>() => {
                    let length = run.take(&text[at..]);
                    spend(steps, length.unwrap_or(0))?;
                    length.map(|length| {
                        at += length;
                        op + 1
                    })
                }
                Op::Run(run) if !REMEMBER && run.is_absent::<WIDE>(text, at) => Some(op + 1),
                Op::Rounds { run, end, count } if !REMEMBER && run.is_simple::<WIDE>() => {
                    let taken = run.take_rounds(&text[at..], *end, *count);
                    let (Ok(length) | Err(length)) = taken;
                    spend(steps, length)?;
                    at += length;
                    taken.is_ok().then_some(op + 2 * count)
                }
                Op::Run(run) | Op::Rounds { run, .. } => {
                    self.run::<WIDE, REMEMBER>(run, op, text, at, stack, steps)?.map(|end| {
                        at = end;
                        op + 1
                    })
                }
                Op::Split(..) | Op::Choice(_) if REMEMBER && !self.is_new(op, at, stack) => None,
                Op::Split(first, second) => {
                    stack.frames.push(Frame::Try { op: *second, at });
                    Some(*first)
                }
                Op::Choice(choice) => match choice.ways(text, at) {
                    (true, true) => {
                        stack.frames.push(Frame::Try { op: choice.second, at });
                        Some(choice.first)
                    }
                    (true, false) => Some(choice.first),
                    (false, true) => Some(choice.second),
                    (false, false) => None,
                },
                Op::Jump(to) => Some(*to),
                Op::Save(slot) => {
                    stack.save(*slot, at);
                    Some(op + 1)
                }
                Op::Assert(assertion) => holds(*assertion, text, at).then_some(op + 1),
                Op::Need(finder) => {
                    spend(steps, text.len() - at)?;
                    finder.find(&text[at..]).map(|_| op + 1)
                }
                Op::If { slot, no } => Some(if stack.slots[*slot] == NOWHERE { *no } else { op + 1 }),
                Op::Same { slot, ignore_case } => {
                    let group = text.get(stack.slots[*slot]..stack.slots[slot + 1]);
                    spend(steps, group.map_or(0, <[u8]>::len))?;
                    group.and_then(|group| repeats(group, text, at, *ignore_case)).map(|end| {
                        at = end;
                        op + 1
                    })
                }
                Op::Enclose(inside) => stack.enclose::<WIDE>(*inside, op, text, at).map(|next| {
                    at = next.1;
                    next.0
                }),
                Op::Enclosed => self.leave(at, stack, steps)?.map(|next| {
                    at = next.1;
                    next.0
                }),
                Op::Round { slot, again, end } => Some(if stack.slots[*slot] == at { *end } else { *again }),
                Op::Done => {
                    stack.slots[1] = at;
                    return Ok(true);
                }
            };
            match next {
                Some(next) => op = next,
                None => match self.back::<WIDE, REMEMBER>(text, stack, steps)? {
                    Some(next) => (op, at) = next,
                    None => return Ok(false),
                },
            }
        }
    }

    /// The first instruction, and where it looks at the text; what was looked for before is there.
    fn begin<const REMEMBER: bool>(&self, start: usize, stack: &mut Stack) -> (usize, usize) {
        stack.frames.clear();
        stack.slots.clear();
        stack.slots.resize(self.slots, NOWHERE);
        stack.slots[0] = start;
        stack.enclosed = 0;
        stack.captures = self.captures;
        if REMEMBER {
            return (0, start);
        }
        self.opening.saved.iter().for_each(|(slot, place)| stack.slots[*slot] = *place);
        (self.opening.next, start + self.opening.text.len())
    }

    /// The next thing to try.
    fn back<const WIDE: bool, const REMEMBER: bool>(
        &self,
        text: &[u8],
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<Option<(usize, usize)>, TooMany> {
        while let Some(frame) = stack.frames.pop() {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            match frame {
                Frame::Try { op, at } => return Ok(Some((op, at))),
                Frame::Restore { slot, place } => stack.slots[slot] = place,
                Frame::Barrier { op, at } => {
                    let Op::Enclose(inside) = &self.ops[op] else { continue };
                    stack.enclosed -= 1;
                    if inside.kind.is_negative() {
                        return Ok(Some((inside.end, at)));
                    }
                }
                Frame::Shorter { op, least, at } => {
                    let (Op::Run(run) | Op::Rounds { run, .. }) = &self.ops[op] else { continue };
                    let shorter = run.shorter::<WIDE>(text, least, at);
                    spend(steps, at - shorter.unwrap_or(least))?;
                    let Some(shorter) = shorter else { continue };
                    if shorter > least {
                        stack.frames.push(Frame::Shorter { op, least, at: shorter });
                    }
                    return Ok(Some((op + 1, shorter)));
                }
                Frame::Longer { op, at, most } => {
                    let (Op::Run(run) | Op::Rounds { run, .. }) = &self.ops[op] else { continue };
                    if let Some(longer) =
                        self.longer::<WIDE, REMEMBER>(run, op, text, at, most, stack, steps)?
                    {
                        return Ok(Some((op + 1, longer)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Where a run ends first, if it does; the others are left for the way back.
    fn run<const WIDE: bool, const REMEMBER: bool>(
        &self,
        run: &Run,
        op: usize,
        text: &[u8],
        at: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<Option<usize>, TooMany> {
        let (ends, looked_at) = if REMEMBER {
            run.ends_knowing::<WIDE>(text, at, stack.memory.stretch(self.numbers[op]))
        } else {
            run.ends_paid::<WIDE>(text, at)
        };
        spend(steps, looked_at)?;
        let Some((least, most)) = ends else { return Ok(None) };
        let remember = REMEMBER && stack.enclosed == 0;
        // Where a round has taken nothing so far, to end here is another thing than to end elsewhere: not remembered.
        let apart = least == at && stack.slots[self.rounds..].contains(&at);
        if run.greedy {
            let low = if apart { at + 1 } else { least };
            let mut first = Some(most);
            if remember && low <= most {
                match stack.memory.ends(self.numbers[op], self.state(stack, most), low, most) {
                    Left::Before(place) => first = run.shorter::<WIDE>(text, least, place),
                    Left::Nothing => first = apart.then_some(at),
                    Left::All | Left::Behind(_) => {}
                }
            }
            if let Some(first) = first
                && first > least
                && !run.settled
            {
                stack.frames.push(Frame::Shorter { op, least, at: first });
            }
            return Ok(first);
        }
        if remember && !apart {
            let state = self.state(stack, at);
            if let Left::Behind(high) = stack.memory.has_ended(self.numbers[op], state, least) {
                return self.longer::<WIDE, REMEMBER>(run, op, text, high.min(most), most, stack, steps);
            }
            stack.memory.end(self.numbers[op], state, least, least);
        }
        if most > least {
            stack.frames.push(Frame::Longer { op, at: least, most });
        }
        Ok(Some(least))
    }

    /// Where a lazy run that has ended at `at` ends next.
    #[expect(clippy::too_many_arguments, reason = "the state of one walk")]
    fn longer<const WIDE: bool, const REMEMBER: bool>(
        &self,
        run: &Run,
        op: usize,
        text: &[u8],
        at: usize,
        most: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<Option<usize>, TooMany> {
        let number = self.numbers[op];
        let mut from = at;
        loop {
            let longer = run.longer::<WIDE>(text, from, most);
            spend(steps, longer.unwrap_or(most) - from)?;
            let Some(longer) = longer else { return Ok(None) };
            if REMEMBER && stack.enclosed == 0 {
                let state = self.state(stack, longer);
                if let Left::Behind(high) = stack.memory.has_ended(number, state, longer) {
                    from = high.min(most);
                    continue;
                }
                stack.memory.end(number, state, from, longer);
            }
            if longer < most {
                stack.frames.push(Frame::Longer { op, at: longer, most });
            }
            return Ok(Some(longer));
        }
    }

    /// What was enclosed has matched: it is not tried in another way. Where to go on; none: it was not to match.
    fn leave(
        &self,
        at: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<Option<(usize, usize)>, TooMany> {
        let barrier = stack.frames.iter().rposition(|frame| matches!(frame, Frame::Barrier { .. }));
        let Some(barrier) = barrier else { return Ok(None) };
        let Frame::Barrier { op, at: before } = stack.frames[barrier] else { return Ok(None) };
        let Op::Enclose(inside) = &self.ops[op] else { return Ok(None) };
        *steps = steps.checked_sub(stack.frames.len() - barrier).ok_or(TooMany)?;
        stack.enclosed -= 1;
        if inside.kind.is_negative() {
            while stack.frames.len() > barrier {
                if let Some(Frame::Restore { slot, place }) = stack.frames.pop() {
                    stack.slots[slot] = place;
                }
            }
            return Ok(None);
        }
        let mut kept = barrier;
        for index in barrier + 1..stack.frames.len() {
            if matches!(stack.frames[index], Frame::Restore { .. }) {
                stack.frames[kept] = stack.frames[index];
                kept += 1;
            }
        }
        stack.frames.truncate(kept);
        Ok(Some((inside.end, if inside.kind == Kind::Atomic { at } else { before })))
    }

    /// Notes that this turn is taken here; false when it was taken before, and so has failed.
    ///
    /// Nothing is noted inside of something enclosed: there it may have matched, and only what follows failed.
    fn is_new(&self, op: usize, at: usize, stack: &mut Stack) -> bool {
        let state = self.state(stack, at);
        stack.enclosed > 0 || stack.memory.is_new(self.numbers[op], at, state)
    }

    /// Which of the groups that conditionals ask for are there, and which rounds have taken nothing so far.
    fn state(&self, stack: &Stack, at: usize) -> usize {
        let slots = &stack.slots;
        let groups = self.conditions.iter().map(|slot| slots[*slot] != NOWHERE);
        let rounds = slots[self.rounds..].iter().map(|began| *began == at);
        groups.chain(rounds).fold(0, |state, bit| state * 2 + usize::from(bit))
    }
}

impl Stack {
    fn save(&mut self, slot: usize, at: usize) {
        // Where nothing is left to be tried nobody comes back.
        if !self.frames.is_empty() {
            self.frames.push(Frame::Restore { slot, place: self.slots[slot] });
        }
        self.slots[slot] = at;
    }

    /// Where to go on with what is enclosed by this instruction; none: it fails.
    fn enclose<const WIDE: bool>(
        &mut self,
        inside: Enclose,
        op: usize,
        text: &[u8],
        at: usize,
    ) -> Option<(usize, usize)> {
        let start = match inside.kind {
            Kind::Behind { back, .. } => back_from::<WIDE>(text, at, back),
            _ => Some(at),
        };
        match start {
            Some(start) => {
                self.frames.push(Frame::Barrier { op, at });
                self.enclosed += 1;
                Some((op + 1, start))
            }
            None => inside.kind.is_negative().then_some((inside.end, at)),
        }
    }
}

/// Whether a text stands here.
fn stands(bytes: &[u8], text: &[u8], at: usize) -> bool {
    match (bytes, text.get(at)) {
        ([only], Some(byte)) => only == byte,
        ([first, ..], Some(byte)) => first == byte && begins(&text[at..], bytes),
        _ => bytes.is_empty(),
    }
}

/// Whether a byte of the set stands here.
fn is_in(set: &ByteSet, text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| set.contains(*byte))
}

/// So many characters before a place.
fn back_from<const WIDE: bool>(text: &[u8], at: usize, characters: usize) -> Option<usize> {
    if !WIDE {
        return at.checked_sub(characters);
    }
    (0..characters).try_fold(at, |at, _| text[..at].iter().rposition(|byte| is_first(*byte)))
}

/// Where a repeated group's text ends, when it stands at `at`.
fn repeats(group: &[u8], text: &[u8], at: usize, ignore_case: bool) -> Option<usize> {
    if !ignore_case {
        return text[at..].starts_with(group).then_some(at + group.len());
    }
    let (mut from, mut to) = (0, at);
    while let Some(char) = char_at(group, from) {
        let other = char_at(text, to).filter(|other| same_letter(char, *other))?;
        from += char.len_utf8();
        to += other.len_utf8();
    }
    Some(to)
}

fn holds(assertion: Assertion, text: &[u8], at: usize) -> bool {
    match assertion {
        Assertion::Start => at == 0,
        Assertion::End => at == text.len(),
        Assertion::LastLineEnd => at == text.len() || (at + 1 == text.len() && text[at] == b'\n'),
        Assertion::LineStart => at == 0 || text[at - 1] == b'\n',
        Assertion::LineEnd => at == text.len() || text[at] == b'\n',
        Assertion::Word => is_edge(text, at),
        Assertion::NotWord => !is_edge(text, at),
        Assertion::WideWord => is_wide_edge(text, at),
        // An oddity of Python: an empty text has no place that is none.
        Assertion::WideNotWord => !is_wide_edge(text, at) && !text.is_empty(),
    }
}

fn is_edge(text: &[u8], at: usize) -> bool {
    let word =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|byte| ByteSet::WORD.contains(*byte));
    word(at.checked_sub(1)) != word(Some(at))
}

fn is_wide_edge(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rposition(|byte| is_first(*byte));
    before.is_some_and(|before| is_word(text, before)) != is_word(text, at)
}
