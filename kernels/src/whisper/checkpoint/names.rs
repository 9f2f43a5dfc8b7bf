//! What the files of different authors call the encoder's tensors.
//!
//! Inside, tensors have Hugging Face's names without a prefix: `layers.0.self_attn.q_proj.weight`.

/// The prefixes under which files keep the encoder, longest first.
const PREFIXES: [&str; 3] = ["model.encoder.", "encoder.", ""];

/// OpenAI's names of whole modules, and ours.
const MODULES: [(&str, &str); 2] =
    [("positional_embedding", "embed_positions.weight"), ("ln_post.", "layer_norm.")];

/// OpenAI's names within a block, and ours within a layer.
const BLOCK: [(&str, &str); 8] = [
    ("attn.query.", "self_attn.q_proj."),
    ("attn.key.", "self_attn.k_proj."),
    ("attn.value.", "self_attn.v_proj."),
    ("attn.out.", "self_attn.out_proj."),
    ("attn_ln.", "self_attn_layer_norm."),
    ("mlp.0.", "fc1."),
    ("mlp.2.", "fc2."),
    ("mlp_ln.", "final_layer_norm."),
];

/// Our name for a file's tensor, were it one of the encoder's.
pub fn ours(name: &str) -> String {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    for (theirs, ours) in MODULES {
        if let Some(rest) = bare.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    let block = bare.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    let Some((number, part)) = block else { return bare.to_string() };
    let module = BLOCK.iter().find_map(|(theirs, ours)| Some((ours, part.strip_prefix(theirs)?)));
    match module {
        Some((module, rest)) => format!("layers.{number}.{module}{rest}"),
        None => bare.to_string(),
    }
}

/// Whether a file's tensor belongs to the decoder that whole models have beside the encoder.
pub fn is_decoder(name: &str) -> bool {
    name.starts_with("model.decoder.") || name.starts_with("decoder.") || name == "proj_out.weight"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_authors_names_are_ours() {
        for (theirs, expected) in [
            ("model.encoder.layers.3.fc1.bias", "layers.3.fc1.bias"),
            ("encoder.layers.3.fc1.bias", "layers.3.fc1.bias"),
            ("encoder.blocks.3.mlp.0.bias", "layers.3.fc1.bias"),
            ("encoder.blocks.11.attn.key.weight", "layers.11.self_attn.k_proj.weight"),
            ("encoder.blocks.0.attn_ln.weight", "layers.0.self_attn_layer_norm.weight"),
            ("encoder.blocks.0.mlp_ln.bias", "layers.0.final_layer_norm.bias"),
            ("encoder.positional_embedding", "embed_positions.weight"),
            ("encoder.ln_post.weight", "layer_norm.weight"),
            ("encoder.conv1.weight", "conv1.weight"),
            ("encoder.blocks.0.other", "blocks.0.other"),
        ] {
            assert_eq!(ours(theirs), expected);
        }
        assert!(is_decoder("decoder.blocks.0.attn.key.weight") && !is_decoder("encoder.conv1.bias"));
    }
}
