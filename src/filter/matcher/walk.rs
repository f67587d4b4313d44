//! One try: from a place in the text through the instructions, and back.

use super::memory::Left;
use super::{Enclose, Frame, Kind, Matcher, NOWHERE, Op, Run, Stack, TooMany, spend};
use crate::filter::syntax::{Assertion, ByteSet, char_at, is_first, is_word, same_letter};

/// What an instruction leads to.
enum Step {
    /// The next instruction, at this place.
    On(usize),
    To(usize, usize),
    Back,
}

impl Matcher {
    pub(super) fn find_at<const WIDE: bool, const REMEMBER: bool>(
        &self,
        text: &[u8],
        start: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<bool, TooMany> {
        stack.frames.clear();
        stack.slots.clear();
        stack.slots.resize(self.slots, NOWHERE);
        stack.slots[0] = start;
        stack.enclosed = 0;
        stack.captures = self.captures;
        let (mut op, mut at) = (0, start);
        loop {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            let step = match &self.ops[op] {
                Op::Literal(bytes) => step_if(text[at..].starts_with(bytes), at + bytes.len()),
                Op::Class(set) => step_if(text.get(at).is_some_and(|byte| set.contains(*byte)), at + 1),
                Op::Run(run) if !REMEMBER && run.is_simple::<WIDE>() => {
                    let length = run.take(&text[at..]);
                    spend(steps, length.unwrap_or(0))?;
                    length.map_or(Step::Back, |length| Step::On(at + length))
                }
                Op::Run(run) => self.run::<WIDE, REMEMBER>(run, op, text, at, stack, steps)?,
                Op::Split(first, second) => {
                    if REMEMBER && !self.is_new(op, at, stack) {
                        Step::Back
                    } else {
                        stack.frames.push(Frame::Try { op: *second, at });
                        Step::To(*first, at)
                    }
                }
                Op::Choice(choice) => {
                    let can = |begins: &Option<ByteSet>| {
                        begins.is_none_or(|set| text.get(at).is_some_and(|byte| set.contains(*byte)))
                    };
                    match (can(&choice.begins[0]), can(&choice.begins[1])) {
                        (false, false) => Step::Back,
                        _ if REMEMBER && !self.is_new(op, at, stack) => Step::Back,
                        (true, false) => Step::To(choice.first, at),
                        (false, true) => Step::To(choice.second, at),
                        (true, true) => {
                            stack.frames.push(Frame::Try { op: choice.second, at });
                            Step::To(choice.first, at)
                        }
                    }
                }
                Op::Jump(to) => Step::To(*to, at),
                Op::Save(slot) => {
                    stack.save(*slot, at);
                    Step::On(at)
                }
                Op::Assert(assertion) => step_if(holds(*assertion, text, at), at),
                Op::Need(finder) => {
                    spend(steps, text.len() - at)?;
                    step_if(finder.find(&text[at..]).is_some(), at)
                }
                Op::Chars(chars) => chars.take(text, at).map_or(Step::Back, |length| Step::On(at + length)),
                Op::If { slot, no } if stack.slots[*slot] == NOWHERE => Step::To(*no, at),
                Op::If { .. } => Step::On(at),
                Op::Same { slot, ignore_case } => {
                    let place = (stack.slots[*slot], stack.slots[slot + 1]);
                    match text.get(place.0..place.1) {
                        None => Step::Back,
                        Some(group) => {
                            spend(steps, group.len())?;
                            let end = repeats(group, text, at, *ignore_case);
                            end.map_or(Step::Back, Step::On)
                        }
                    }
                }
                Op::Enclose(inside) => stack.enclose::<WIDE>(*inside, text, at),
                Op::Enclosed => stack.leave(at, steps)?,
                Op::Round { slot, end, .. } if stack.slots[*slot] == at => Step::To(*end, at),
                Op::Round { again, .. } => Step::To(*again, at),
                Op::Done => {
                    stack.slots[1] = at;
                    return Ok(true);
                }
            };
            match step {
                Step::On(next) => (op, at) = (op + 1, next),
                Step::To(next, place) => (op, at) = (next, place),
                Step::Back => match self.back::<WIDE, REMEMBER>(text, stack, steps)? {
                    Some(next) => (op, at) = next,
                    None => return Ok(false),
                },
            }
        }
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
                Frame::Barrier { inside, at } => {
                    stack.enclosed -= 1;
                    if inside.kind.is_negative() {
                        return Ok(Some((inside.end, at)));
                    }
                }
                Frame::Shorter { op, least, at } => {
                    let Op::Run(run) = &self.ops[op] else { continue };
                    let shorter = run.shorter::<WIDE>(text, least, at);
                    spend(steps, at - shorter.unwrap_or(least))?;
                    let Some(shorter) = shorter else { continue };
                    if shorter > least {
                        stack.frames.push(Frame::Shorter { op, least, at: shorter });
                    }
                    return Ok(Some((op + 1, shorter)));
                }
                Frame::Longer { op, at, most } => {
                    let Op::Run(run) = &self.ops[op] else { continue };
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

    /// A run: to its first end, the others left for the way back.
    fn run<const WIDE: bool, const REMEMBER: bool>(
        &self,
        run: &Run,
        op: usize,
        text: &[u8],
        at: usize,
        stack: &mut Stack,
        steps: &mut usize,
    ) -> Result<Step, TooMany> {
        let (ends, looked_at) = if REMEMBER {
            run.ends_knowing::<WIDE>(text, at, stack.memory.stretch(self.numbers[op]))
        } else {
            run.ends_paid::<WIDE>(text, at)
        };
        spend(steps, looked_at)?;
        let Some((least, most)) = ends else { return Ok(Step::Back) };
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
            let Some(first) = first else { return Ok(Step::Back) };
            if first > least && !run.settled {
                stack.frames.push(Frame::Shorter { op, least, at: first });
            }
            return Ok(Step::On(first));
        }
        if remember && !apart {
            let state = self.state(stack, at);
            if let Left::Behind(high) = stack.memory.has_ended(self.numbers[op], state, least) {
                let longer =
                    self.longer::<WIDE, REMEMBER>(run, op, text, high.min(most), most, stack, steps)?;
                return Ok(longer.map_or(Step::Back, Step::On));
            }
            stack.memory.end(self.numbers[op], state, least, least);
        }
        if most > least {
            stack.frames.push(Frame::Longer { op, at: least, most });
        }
        Ok(Step::On(least))
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
        self.frames.push(Frame::Restore { slot, place: self.slots[slot] });
        self.slots[slot] = at;
    }

    fn enclose<const WIDE: bool>(&mut self, inside: Enclose, text: &[u8], at: usize) -> Step {
        let start = match inside.kind {
            Kind::Behind { back, .. } => back_from::<WIDE>(text, at, back),
            _ => Some(at),
        };
        match start {
            Some(start) => {
                self.frames.push(Frame::Barrier { inside, at });
                self.enclosed += 1;
                Step::On(start)
            }
            None if inside.kind.is_negative() => Step::To(inside.end, at),
            None => Step::Back,
        }
    }

    /// What was enclosed has matched: it is not tried in another way.
    fn leave(&mut self, at: usize, steps: &mut usize) -> Result<Step, TooMany> {
        let barrier = self.frames.iter().rposition(|frame| matches!(frame, Frame::Barrier { .. }));
        let Some(barrier) = barrier else { return Ok(Step::Back) };
        let Frame::Barrier { inside, at: before } = self.frames[barrier] else { return Ok(Step::Back) };
        *steps = steps.checked_sub(self.frames.len() - barrier).ok_or(TooMany)?;
        self.enclosed -= 1;
        if inside.kind.is_negative() {
            while self.frames.len() > barrier {
                if let Some(Frame::Restore { slot, place }) = self.frames.pop() {
                    self.slots[slot] = place;
                }
            }
            return Ok(Step::Back);
        }
        let mut kept = barrier;
        for index in barrier + 1..self.frames.len() {
            if matches!(self.frames[index], Frame::Restore { .. }) {
                self.frames[kept] = self.frames[index];
                kept += 1;
            }
        }
        self.frames.truncate(kept);
        Ok(Step::To(inside.end, if inside.kind == Kind::Atomic { at } else { before }))
    }
}

fn step_if(found: bool, at: usize) -> Step {
    if found { Step::On(at) } else { Step::Back }
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
