//! What a provider charges, as the demonstration and the load generator have it.

/// The fee of a card payment: 2.9 % and 30 hundredths, the percentage rounded half
/// up to a whole hundredth.
pub(super) const fn fee_half_up(gross: i64) -> i64 {
    (gross * 29 + 500) / 1_000 + 30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fee_is_rounded_half_up() {
        // 2.9 % of 50.00 is 1.45 exactly; of 1.00 it is 0.029; of 2.50 it is 0.0725.
        for (gross, fee) in [(5_000, 175), (100, 33), (250, 37), (10_000_000, 290_030)] {
            assert_eq!(fee_half_up(gross), fee, "{gross}");
        }
        // A half goes up: 2.9 % of 5.00 is 0.145.
        assert_eq!(fee_half_up(500), 15 + 30);
    }
}
