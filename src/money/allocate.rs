//! Dividing an amount without losing a unit.

use super::Amount;

/// Divides `whole` in proportion to `weights`, exactly: the parts add up to the
/// whole. Each part is first rounded toward zero; the units left over go one
/// each to the largest remainders, ties to the earlier weight (the method of
/// largest remainders, Hamilton 1792).
///
/// Nothing when the weights are negative, or all zero, or when there are none.
#[must_use]
pub fn allocate(whole: Amount, weights: &[i64]) -> Option<Vec<Amount>> {
    if weights.iter().any(|&weight| weight < 0) {
        return None;
    }
    let total: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
    if total == 0 {
        return None;
    }
    let units = i128::from(whole.units());
    let sign = units.signum();
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, &weight) in weights.iter().enumerate() {
        let share = units.abs() * i128::from(weight);
        parts.push(share / total);
        remainders.push((share % total, index));
    }
    let mut left = units.abs() - parts.iter().sum::<i128>();
    // The largest remainder first; among equals the earlier index.
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders {
        if left == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
            left -= 1;
        }
    }
    parts
        .into_iter()
        .map(|part| i64::try_from(part * sign).ok().map(Amount::of_units))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(whole: i64, weights: &[i64]) -> Option<Vec<i64>> {
        allocate(Amount::of_units(whole), weights)
            .map(|parts| parts.into_iter().map(Amount::units).collect())
    }

    #[test]
    fn units_left_over_go_to_the_largest_remainders() {
        assert_eq!(units(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(units(-100, &[1, 1, 1]), Some(vec![-34, -33, -33]));
        assert_eq!(units(10, &[5, 0, 3]), Some(vec![6, 0, 4]));
        assert_eq!(units(2, &[1, 1, 1]), Some(vec![1, 1, 0]));
    }

    #[test]
    fn nothing_divides_by_no_weight() {
        assert_eq!(units(1, &[]), None);
        assert_eq!(units(1, &[0, 0]), None);
        assert_eq!(units(1, &[1, -1]), None);
    }

    proptest! {
        #[test]
        fn no_unit_is_lost_and_no_part_is_off_by_one(
            whole in -Amount::MAX.units()..=Amount::MAX.units(),
            weights in prop::collection::vec(0_i64..1_000_000_000, 1..40),
        ) {
            prop_assume!(weights.iter().any(|&w| w > 0));
            let parts = units(whole, &weights).unwrap();
            prop_assert_eq!(parts.iter().map(|&p| i128::from(p)).sum::<i128>(), i128::from(whole));
            let total: i128 = weights.iter().map(|&w| i128::from(w)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = i128::from(whole) * i128::from(*weight);
                prop_assert!((i128::from(*part) * total - exact).abs() < total);
            }
        }
    }
}
