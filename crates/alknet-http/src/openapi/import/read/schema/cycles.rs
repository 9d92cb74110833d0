//! Definitions that apply themselves to the same value, as a parent does that lists its children, each of which is all that
//! the parent is. A check would have no end.

use std::collections::{HashMap, HashSet};

/// References to be cut, as pairs of definitions, so that no definition leads back to itself. `uses` gives those that a
/// definition applies to the same value. `order` are all of them, the first ones nearest to what is checked.
pub(super) fn cuts(order: &[usize], uses: impl Fn(usize) -> Vec<usize>) -> HashSet<(usize, usize)> {
    let mut cuts = HashSet::new();
    let mut states: HashMap<usize, State> = HashMap::new();
    for &start in order {
        if states.contains_key(&start) {
            continue;
        }
        states.insert(start, State::Open);
        // Without recursion: there may be as many definitions in a row as a description has.
        let mut path = vec![(start, uses(start).into_iter())];
        while let Some((from, rest)) = path.last_mut() {
            let from = *from;
            match rest.next() {
                None => {
                    states.insert(from, State::Done);
                    path.pop();
                }
                Some(to) => match states.get(&to) {
                    Some(State::Open) => {
                        cuts.insert((from, to));
                    }
                    Some(State::Done) => {}
                    None => {
                        states.insert(to, State::Open);
                        path.push((to, uses(to).into_iter()));
                    }
                },
            }
        }
    }
    cuts
}

#[derive(Clone, Copy)]
enum State {
    /// On the way from the start to here.
    Open,
    Done,
}
