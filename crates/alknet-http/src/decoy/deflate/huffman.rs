//! Codes of minimal length (RFC 1951 §3.2), with ties broken as zlib breaks them.

/// A code for some alphabet.
#[derive(Debug, Clone, Default)]
pub(super) struct Code {
    /// By symbol: how many bits, and which, the first one lowest.
    pub(super) lengths: Vec<u8>,
    pub(super) bits: Vec<u16>,
    /// How many symbols need to be told of.
    pub(super) used: usize,
    /// What the symbols that were counted take in bits.
    pub(super) cost: usize,
}

impl Code {
    /// The code with these lengths.
    pub(super) fn of_lengths(lengths: Vec<u8>) -> Self {
        let mut next = [0_u16; 17];
        let mut code = 0_u16;
        for length in 1..=15_u8 {
            code <<= 1;
            if let Some(first) = next.get_mut(usize::from(length)) {
                *first = code;
            }
            code += u16::try_from(lengths.iter().filter(|other| **other == length).count()).unwrap_or(0);
        }
        let bits = lengths.iter().map(|length| match next.get_mut(usize::from(*length)) {
            Some(next) if *length > 0 => {
                let code = *next;
                *next += 1;
                code.reverse_bits() >> (16 - u16::from(*length))
            }
            _ => 0,
        });
        let bits = bits.collect();
        Self { used: lengths.len(), lengths, bits, cost: 0 }
    }

    /// A code for symbols that occur as often as `counts` says, with no length above `longest`.
    pub(super) fn of_counts(counts: &[u16], longest: u8) -> Self {
        let mut tree = Tree::new(counts);
        tree.join();
        let lengths = tree.lengths(longest);
        let cost = lengths.iter().zip(counts).map(|(length, count)| usize::from(*length) * usize::from(*count)).sum();
        Self { used: tree.used, cost, ..Self::of_lengths(lengths) }
    }
}

/// A tree under construction. Its nodes are the symbols, and then what joins them.
struct Tree {
    symbols: usize,
    used: usize,
    counts: Vec<u32>,
    depths: Vec<u8>,
    parents: Vec<usize>,
    /// A heap of the nodes without a parent; the least comes first.
    heap: Vec<usize>,
    /// The nodes in the order in which they got a parent.
    joined: Vec<usize>,
}

impl Tree {
    fn new(counts: &[u16]) -> Self {
        let symbols = counts.len();
        let mut counts: Vec<u32> = counts.iter().map(|count| u32::from(*count)).collect();
        let mut heap: Vec<usize> =
            (0..symbols).filter(|symbol| counts.get(*symbol).is_some_and(|count| *count > 0)).collect();
        let mut used = heap.last().map_or(0, |last| last + 1);
        // A code has at least two symbols, even if they do not occur.
        while heap.len() < 2 {
            let symbol = if used < 3 { used } else { 0 };
            used = used.max(symbol + 1);
            if let Some(count) = counts.get_mut(symbol) {
                *count = 1;
            }
            heap.push(symbol);
        }
        let (depths, parents) = (vec![0; 2 * symbols], vec![0; 2 * symbols]);
        counts.resize(2 * symbols, 0);
        Self { symbols, used, counts, depths, parents, heap, joined: Vec::new() }
    }

    /// Joins the two least nodes until one is left.
    fn join(&mut self) {
        for at in (0..self.heap.len() / 2).rev() {
            self.sift(at);
        }
        let mut node = self.symbols;
        while self.heap.len() >= 2 {
            let least = self.heap.swap_remove(0);
            self.sift(0);
            let Some(&second) = self.heap.first() else { return };
            self.joined.extend([least, second]);
            self.set(node, least, second);
            if let Some(first) = self.heap.first_mut() {
                *first = node;
            }
            node += 1;
            self.sift(0);
        }
        self.joined.extend(self.heap.first());
    }

    fn set(&mut self, node: usize, left: usize, right: usize) {
        let count = self.count(left) + self.count(right);
        let depth = self.depth(left).max(self.depth(right)) + 1;
        for child in [left, right] {
            if let Some(parent) = self.parents.get_mut(child) {
                *parent = node;
            }
        }
        if let (Some(count_of), Some(depth_of)) = (self.counts.get_mut(node), self.depths.get_mut(node)) {
            (*count_of, *depth_of) = (count, depth);
        }
    }

    fn count(&self, node: usize) -> u32 {
        self.counts.get(node).copied().unwrap_or(0)
    }

    fn depth(&self, node: usize) -> u8 {
        self.depths.get(node).copied().unwrap_or(0)
    }

    /// Of equal ones, the shallower node is the smaller; of equal ones again, the first that is asked about.
    fn is_smaller(&self, node: usize, than: usize) -> bool {
        (self.count(node), self.depth(node)) <= (self.count(than), self.depth(than))
    }

    /// Moves a node down to where the heap is one again.
    fn sift(&mut self, mut at: usize) {
        let Some(&node) = self.heap.get(at) else { return };
        while let Some(&left) = self.heap.get(2 * at + 1) {
            let (child, below) = match self.heap.get(2 * at + 2) {
                Some(&right) if self.is_smaller(right, left) => (2 * at + 2, right),
                _ => (2 * at + 1, left),
            };
            if self.is_smaller(node, below) {
                break;
            }
            self.put(at, below);
            at = child;
        }
        self.put(at, node);
    }

    fn put(&mut self, at: usize, node: usize) {
        if let Some(slot) = self.heap.get_mut(at) {
            *slot = node;
        }
    }

    /// How deep the symbols are, none below `longest`.
    fn lengths(&self, longest: u8) -> Vec<u8> {
        let mut depths = vec![0_u8; 2 * self.symbols];
        let mut of_length = [0_usize; 17];
        let mut overflow = 0_isize;
        // From the root down: parents come before their children.
        for &node in self.joined.iter().rev().skip(1) {
            let parent = self.parents.get(node).and_then(|parent| depths.get(*parent)).copied().unwrap_or(0);
            let length = if parent + 1 > longest {
                overflow += 1;
                longest
            } else {
                parent + 1
            };
            if let Some(depth) = depths.get_mut(node) {
                *depth = length;
            }
            if let (true, Some(count)) = (node < self.symbols, of_length.get_mut(usize::from(length))) {
                *count += 1;
            }
        }
        if overflow > 0 {
            shorten(&mut of_length, longest, overflow);
            let mut symbols = self.joined.iter().filter(|node| **node < self.symbols);
            for length in (1..=longest).rev() {
                for _ in 0..of_length.get(usize::from(length)).copied().unwrap_or(0) {
                    if let Some(depth) = symbols.next().and_then(|symbol| depths.get_mut(*symbol)) {
                        *depth = length;
                    }
                }
            }
        }
        depths.truncate(self.symbols);
        depths
    }
}

/// Makes a code of lengths that were cut off: for each two that are too many, a shorter one gives way.
fn shorten(of_length: &mut [usize; 17], longest: u8, mut overflow: isize) {
    let longest = usize::from(longest);
    while overflow > 0 {
        let Some(shorter) = (1..longest).rev().find(|length| of_length.get(*length).is_some_and(|count| *count > 0))
        else {
            return;
        };
        let mut change = |length: usize, by: isize| {
            if let Some(count) = of_length.get_mut(length) {
                *count = count.saturating_add_signed(by);
            }
        };
        change(shorter, -1);
        change(shorter + 1, 2);
        change(longest, -1);
        overflow -= 2;
    }
}
