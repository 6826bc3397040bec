//! How many orders are under way at once: fewer after the CA asked for a pause, then more again.

/// Share of the most that a wave grows by.
const GROWTH: usize = 5;

/// The sizes of one wave of orders after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waves {
    most: usize,
    size: usize,
}

impl Waves {
    /// Begins with `most` orders.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, size: most }
    }

    /// How many orders the next wave has.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// Half as many after a wave in which the CA refused something for now; a fifth of the most
    /// more after another.
    pub(crate) fn after(self, was_refused: bool) -> Self {
        let size = if was_refused {
            self.size / 2
        } else {
            self.most.min(self.size + self.most.div_ceil(GROWTH))
        };
        Self {
            size: size.max(1),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_halves_and_peace_lets_grow() {
        let mut waves = Waves::of(50);
        let mut size = |was_refused| {
            waves = waves.after(was_refused);
            waves.size()
        };
        assert_eq!(size(false), 50);
        assert_eq!([size(true), size(true), size(true)], [25, 12, 6]);
        assert_eq!([(); 3].map(|()| size(true)), [3, 1, 1]);
        assert_eq!([(); 6].map(|()| size(false)), [11, 21, 31, 41, 50, 50]);
    }
}
