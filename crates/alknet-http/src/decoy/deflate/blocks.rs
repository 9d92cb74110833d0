//! Blocks of symbols (RFC 1951 §3.2.3), each in whichever form is shortest.

use super::huffman::Code;

const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;
/// The order in which the lengths of the lengths' code are told.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Collects symbols, and writes them.
pub(super) struct Blocks {
    /// Distance and length of each match; a literal has no distance.
    symbols: Vec<(u16, u16)>,
    most: usize,
    literals: [u16; LITERALS],
    distances: [u16; DISTANCES],
    /// Where the block begins in the window, unless it is before it.
    begin: Option<usize>,
    bits: Bits,
}

impl Blocks {
    /// With blocks of `most` symbols.
    pub(super) fn new(most: usize) -> Self {
        let (literals, distances) = ([0; LITERALS], [0; DISTANCES]);
        Self { symbols: Vec::new(), most, literals, distances, begin: Some(0), bits: Bits::default() }
    }

    /// Whether the block is full with that.
    pub(super) fn add_literal(&mut self, byte: u8) -> bool {
        count(&mut self.literals, usize::from(byte));
        self.add(0, u16::from(byte))
    }

    /// Whether the block is full with that.
    pub(super) fn add_match(&mut self, distance: usize, length: usize) -> bool {
        let (distance, length) = (u16::try_from(distance).unwrap_or(1), u16::try_from(length).unwrap_or(3));
        count(&mut self.literals, length_code(length).symbol);
        count(&mut self.distances, distance_code(distance).symbol);
        self.add(distance, length)
    }

    fn add(&mut self, distance: u16, length: u16) -> bool {
        self.symbols.push((distance, length));
        self.symbols.len() == self.most
    }

    /// The window has moved by so much.
    pub(super) fn slide(&mut self, by: usize) {
        self.begin = self.begin.and_then(|begin| begin.checked_sub(by));
    }

    /// Writes the last block.
    pub(super) fn finish(&mut self, window: &[u8], end: usize, output: &mut Vec<u8>) {
        self.flush(window, end, true, output);
        self.bits.align(output);
    }

    /// Writes the block, which goes up to `end` in the window.
    pub(super) fn flush(&mut self, window: &[u8], end: usize, is_last: bool, output: &mut Vec<u8>) {
        count(&mut self.literals, END);
        let literals = Code::of_counts(&self.literals, 15);
        let distances = Code::of_counts(&self.distances, 15);
        let head = Head::new(&literals, &distances);
        let (fixed_literals, fixed_distances) = fixed();
        let extra = self.extra_bits();
        let in_bytes = |bits: usize| (bits + 3).div_ceil(8);
        let own = in_bytes(literals.cost + distances.cost + extra + head.cost());
        let fixed = in_bytes(self.cost(&fixed_literals, &fixed_distances) + extra);
        let raw = self.begin.and_then(|begin| window.get(begin..end));
        let last = u32::from(is_last);
        match raw {
            Some(raw) if raw.len() + 4 <= own.min(fixed) => {
                self.bits.put(last, 3, output);
                self.bits.align(output);
                let length = u16::try_from(raw.len()).unwrap_or(u16::MAX);
                output.extend_from_slice(&length.to_le_bytes());
                output.extend_from_slice(&(!length).to_le_bytes());
                output.extend_from_slice(raw);
            }
            _ if fixed <= own => {
                self.bits.put(2 + last, 3, output);
                self.write(&fixed_literals, &fixed_distances, output);
            }
            _ => {
                self.bits.put(4 + last, 3, output);
                head.write(&mut self.bits, output);
                self.write(&literals, &distances, output);
            }
        }
        self.symbols.clear();
        (self.literals, self.distances) = ([0; LITERALS], [0; DISTANCES]);
        self.begin = Some(end);
    }

    /// What the symbols take in some code, without the bits behind their codes.
    fn cost(&self, literals: &Code, distances: &Code) -> usize {
        let cost = |counts: &[u16], code: &Code| -> usize {
            counts.iter().zip(&code.lengths).map(|(count, length)| usize::from(*count) * usize::from(*length)).sum()
        };
        cost(&self.literals, literals) + cost(&self.distances, distances)
    }

    fn extra_bits(&self) -> usize {
        let matches = self.symbols.iter().filter(|(distance, _)| *distance > 0);
        matches
            .map(|(distance, length)| distance_code(*distance).extra_bits + length_code(*length).extra_bits)
            .sum::<u32>() as usize
    }

    fn write(&mut self, literals: &Code, distances: &Code, output: &mut Vec<u8>) {
        for (distance, length) in &self.symbols {
            if *distance == 0 {
                self.bits.symbol(literals, usize::from(*length), output);
                continue;
            }
            for (code, with) in [(length_code(*length), literals), (distance_code(*distance), distances)] {
                self.bits.symbol(with, code.symbol, output);
                self.bits.put(code.extra, code.extra_bits, output);
            }
        }
        self.bits.symbol(literals, END, output);
    }
}

fn count(counts: &mut [u16], symbol: usize) {
    if let Some(count) = counts.get_mut(symbol) {
        *count += 1;
    }
}

/// The code of a length or distance, and the bits behind it.
struct Coded {
    symbol: usize,
    extra: u32,
    extra_bits: u32,
}

fn length_code(length: u16) -> Coded {
    match u32::from(length).saturating_sub(3) {
        // The longest has a code of its own.
        255 => Coded { symbol: 285, extra: 0, extra_bits: 0 },
        value => coded(value, 2, 257),
    }
}

fn distance_code(distance: u16) -> Coded {
    coded(u32::from(distance).saturating_sub(1), 1, 0)
}

/// Codes for ranges that double after each 2^`bits` of them.
fn coded(value: u32, bits: u32, first: usize) -> Coded {
    let extra_bits = (u32::BITS - value.leading_zeros()).saturating_sub(bits + 1);
    let symbol = first + ((extra_bits << bits) + (value >> extra_bits)) as usize;
    Coded { symbol, extra: value & ((1 << extra_bits) - 1), extra_bits }
}

/// The codes that need not be told of.
fn fixed() -> (Code, Code) {
    let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
    (Code::of_lengths(lengths), Code::of_lengths(vec![5; DISTANCES]))
}

/// What tells of a block's own codes: their lengths, in a code of their own.
struct Head {
    literals: usize,
    distances: usize,
    runs: Vec<Run>,
    code: Code,
    /// How many of its lengths are told.
    told: usize,
}

/// A length, or a symbol for several, with the bits behind it.
struct Run {
    symbol: usize,
    extra: u32,
    extra_bits: u32,
}

impl Head {
    fn new(literals: &Code, distances: &Code) -> Self {
        let mut runs = Vec::new();
        for code in [literals, distances] {
            add_runs(code.lengths.get(..code.used).unwrap_or_default(), &mut runs);
        }
        let mut counts = [0; ORDER.len()];
        runs.iter().for_each(|run| count(&mut counts, run.symbol));
        let code = Code::of_counts(&counts, 7);
        let is_used = |symbol: &usize| code.lengths.get(*symbol).is_some_and(|length| *length > 0);
        let told = ORDER.iter().rposition(is_used).map_or(4, |last| (last + 1).max(4));
        Self { literals: literals.used, distances: distances.used, runs, code, told }
    }

    fn cost(&self) -> usize {
        let extra: u32 = self.runs.iter().map(|run| run.extra_bits).sum();
        5 + 5 + 4 + 3 * self.told + self.code.cost + extra as usize
    }

    fn write(&self, bits: &mut Bits, output: &mut Vec<u8>) {
        let number = |number: usize| u32::try_from(number).unwrap_or(0);
        bits.put(number(self.literals - 257), 5, output);
        bits.put(number(self.distances - 1), 5, output);
        bits.put(number(self.told - 4), 4, output);
        for symbol in ORDER.iter().take(self.told) {
            bits.put(u32::from(self.code.lengths.get(*symbol).copied().unwrap_or(0)), 3, output);
        }
        for run in &self.runs {
            bits.symbol(&self.code, run.symbol, output);
            bits.put(run.extra, run.extra_bits, output);
        }
    }
}

/// Tells lengths of which several in a row may be the same.
fn add_runs(lengths: &[u8], runs: &mut Vec<Run>) {
    for run in lengths.chunk_by(|one, other| one == other) {
        let length = usize::from(run.first().copied().unwrap_or(0));
        let mut left = run.len();
        let mut tell = |symbol, count: usize, least: usize, extra_bits| {
            runs.push(Run { symbol, extra: u32::try_from(count - least).unwrap_or(0), extra_bits });
        };
        // What repeats the length before needs one before; zeros need none.
        if length > 0 {
            tell(length, 0, 0, 0);
            left -= 1;
        }
        while left > 0 {
            let now = left.min(if length > 0 { 6 } else { 138 });
            match (length, now) {
                (0, 11..) => tell(18, now, 11, 7),
                (0, 3..) => tell(17, now, 3, 3),
                (1.., 3..) => tell(16, now, 3, 2),
                (_, few) => (0..few).for_each(|_| tell(length, 0, 0, 0)),
            }
            left -= now;
        }
    }
}

/// Writes bits, the first one lowest.
#[derive(Default)]
struct Bits {
    held: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32, output: &mut Vec<u8>) {
        self.held |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            output.push((self.held & 0xff) as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn symbol(&mut self, code: &Code, symbol: usize, output: &mut Vec<u8>) {
        if let (Some(bits), Some(length)) = (code.bits.get(symbol), code.lengths.get(symbol)) {
            self.put(u32::from(*bits), u32::from(*length), output);
        }
    }

    fn align(&mut self, output: &mut Vec<u8>) {
        let missing = self.count.wrapping_neg() % 8;
        self.put(0, missing, output);
    }
}
