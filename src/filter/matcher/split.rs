//! A conditional told apart beforehand: `a(?:(?P<g>b)|c)d(?(g)e|f)` is `a(?:(?P<g>b)de|cdf)`.
//!
//! The ways and their order are the same; but a way that ends with a text which is not there need not be tried. sshd's
//! `Failed …` needs this: its first way is for names with a colon behind the address, and is hardly ever taken.

use crate::filter::syntax::Node;

/// The two ways of a tree.
pub(super) struct Split<'s> {
    pub(super) before: &'s [Node],
    pub(super) ways: [Way; 2],
}

/// One way, and texts of which each must follow.
pub(super) struct Way {
    pub(super) node: Node,
    pub(super) needs: Vec<Vec<u8>>,
}

/// None where there is no such conditional.
pub(super) fn split(root: &Node) -> Option<Split<'_>> {
    let Node::Concat(nodes) = root else { return None };
    let (at, group, branches) = nodes.iter().enumerate().find_map(|(at, node)| match node {
        Node::Conditional { group, branches } => Some((at, *group, branches)),
        _ => None,
    })?;
    if asks(root, group) > 1 {
        return None;
    }
    let (open, [first, second]) =
        nodes[..at].iter().enumerate().find_map(|(open, node)| Some((open, ways(node, group)?)))?;
    let way = |begin: Node, branch: &Node| {
        let end = [std::slice::from_ref(branch), &nodes[at + 1..]].concat();
        let needs = Node::concat(end.clone());
        let node = Node::concat([vec![begin], nodes[open + 1..at].to_vec(), end].concat());
        Way { node, needs: texts(&needs) }
    };
    Some(Split { before: &nodes[..open], ways: [way(first, &branches[0]), way(second, &branches[1])] })
}

/// The way of a node in which this group takes part, which is the first, and the others.
fn ways(node: &Node, group: usize) -> Option<[Node; 2]> {
    match node {
        Node::Group(other, inner) if *other != group => {
            Some(ways(inner, group)?.map(|way| Node::Group(*other, Box::new(way))))
        }
        Node::Alternation(nodes) => {
            let (first, others) = nodes.split_first()?;
            let begins = matches!(first, Node::Group(known, _) if *known == group);
            let is_there = |node: &Node| matches!(node, Node::Group(known, _) if *known == group);
            if !begins || others.iter().any(|other| other.any(&is_there)) {
                return None;
            }
            let others = if let [only] = others { only.clone() } else { Node::Alternation(others.to_vec()) };
            Some([first.clone(), others])
        }
        _ => None,
    }
}

/// How often a tree asks for a group.
fn asks(node: &Node, group: usize) -> usize {
    let own = match node {
        Node::Conditional { group: asked, .. } | Node::Backreference { group: asked, .. } => *asked == group,
        _ => false,
    };
    usize::from(own) + node.children().iter().map(|child| asks(child, group)).sum::<usize>()
}

/// Texts that each match has.
fn texts(node: &Node) -> Vec<Vec<u8>> {
    match node {
        Node::Literal(bytes) => vec![bytes.clone()],
        Node::Concat(nodes) => nodes.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
