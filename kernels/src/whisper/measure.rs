//! How close two tensors are.

/// Cosine of the angle between two tensors.
pub fn cosine<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.into_iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb).sqrt()
}

/// Signal to error ratio of `got` against `exact` in dB.
pub fn sqnr_db<'a>(got: impl IntoIterator<Item = &'a f32>, exact: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&got, &exact) in got.into_iter().zip(exact) {
        signal += f64::from(exact).powi(2);
        noise += (f64::from(got) - f64::from(exact)).powi(2);
    }
    10.0 * (signal / noise).log10()
}
