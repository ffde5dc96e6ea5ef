"""Train MarianMTModel of Transformers in plain PyTorch on prepared data and print its speed.

Arguments: prepared folder, model section as JSON, fp32 or bf16, updates, warm-up windows. Batches
are those of nmt; model, loss, autocast and optimizer are what users of Transformers write.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn import functional
from transformers import MarianConfig, MarianMTModel

from nmt_cli.data.prepared.store import PreparedData
from nmt_cli.training.batches import BatchIterator, to_device

WINDOW = 5


def build_model(shape: dict[str, Any], vocab_size: int, pad: int, end: int) -> MarianMTModel:
    config = MarianConfig(
        vocab_size=vocab_size, decoder_vocab_size=vocab_size, d_model=shape["d_model"],
        encoder_layers=shape["encoder_layers"], decoder_layers=shape["decoder_layers"],
        encoder_ffn_dim=shape["d_ff"], decoder_ffn_dim=shape["d_ff"],
        encoder_attention_heads=shape["heads"], decoder_attention_heads=shape["heads"],
        dropout=shape["dropout"], attention_dropout=0.0, activation_function="relu",
        scale_embedding=True, share_encoder_decoder_embeddings=True, pad_token_id=pad,
        eos_token_id=end, bos_token_id=end, decoder_start_token_id=pad, forced_eos_token_id=None,
        max_position_embeddings=512,
    )  # fmt: skip
    model = MarianMTModel(config)
    torch.nn.init.normal_(model.model.shared.weight, std=shape["d_model"] ** -0.5)
    model.tie_weights()
    return model


def main() -> None:
    folder, shape, precision, updates, warmup_windows = sys.argv[1:]
    data = PreparedData(Path(folder))
    vocabulary = data.tokenizers.vocabulary
    torch.manual_seed(1)
    model = build_model(json.loads(shape), vocabulary.target_size, vocabulary.pad, vocabulary.end)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)
    batch_iterator, device = BatchIterator(data, 4096, 1), torch.device("cpu")
    speeds, tokens, started = [], 0, time.perf_counter()
    model.train()
    for update in range(1, int(updates) + 1):
        source, target_in, target_out = to_device(batch_iterator.next_micro_batches().batches[0][1], device)
        padding, mask = target_out.padding_mask(), source.padding_mask()
        labels = target_out.ids if padding is None else target_out.ids.masked_fill(padding, -100)
        attention_mask = torch.ones_like(source.ids) if mask is None else (~mask).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(
                input_ids=source.ids, attention_mask=attention_mask, decoder_input_ids=target_in.ids,
                use_cache=False,
            ).logits  # fmt: skip
        loss = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), label_smoothing=0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += int(target_out.lengths.sum())
        if update % WINDOW == 0:
            speeds.append(tokens / (time.perf_counter() - started))
            tokens, started = 0, time.perf_counter()
    speeds = speeds[int(warmup_windows) :]
    print(json.dumps({"median": median(speeds), "least": min(speeds), "most": max(speeds)}))


if __name__ == "__main__":
    main()
