"""The encoder behind transformers' interface: states, masked tokens, and classification.

Symbols: b batch, n positions, d width, V dictionary size, o outputs of the classifier.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    SequenceClassifierOutput,
)
from transformers.utils import ModelOutput

from stackbert.export.hub.configuration_stackbert import StackBertConfig
from stackbert.model import Encoder, ModelConfig, initialize, sinusoids

Output = TypeVar("Output", bound=ModelOutput)


class StackBertPreTrainedModel(PreTrainedModel):
    """Holds the encoder and turns transformers' inputs into its own."""

    config_class = StackBertConfig
    base_model_prefix = "stackbert"
    _supports_sdpa = True

    def __init__(self, config: StackBertConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(
            ModelConfig(
                layers=config.num_hidden_layers,
                width=config.hidden_size,
                heads=config.num_attention_heads,
                feed_forward=config.intermediate_size,
                vocab_size=config.vocab_size,
                max_positions=config.max_position_embeddings,
                dropout=config.hidden_dropout_prob,
                attention_dropout=config.attention_probs_dropout_prob,
                padding=config.pad_token_id,
            )
        )

    def _init_weights(self, module: nn.Module) -> None:
        initialize(module)
        if module is getattr(self, "classifier", None):
            nn.init.zeros_(module.weight)
        elif isinstance(module, Encoder):
            # from_pretrained builds the model without values; the sinusoids are in no file.
            with torch.no_grad():
                module.positions.copy_(sinusoids(*module.positions.shape))
                module.tokens.weight[module.config.padding].zero_()

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding [V, d], which is also the output's."""
        return self.encoder.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.encoder.tokens = value

    def states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        first_only: bool,
    ) -> Tensor:
        """Ids [b, n] -> final states [b, n, d], or [b, d] of the first positions."""
        b, n = input_ids.shape
        if n > self.config.max_position_embeddings:
            raise ValueError(
                f"{n} tokens are more than the model's {self.config.max_position_embeddings} "
                "positions: call the tokenizer with truncation=True"
            )
        if attention_mask is not None:
            input_ids = input_ids.masked_fill(attention_mask == 0, self.config.pad_token_id)
        if token_type_ids is None:
            # 1 up to the first </s>, 0 for the second text and padding, as in training
            ends = (input_ids == self.config.sep_token_id).long()
            token_type_ids = (ends.cumsum(1) - ends == 0).long()
        rows = torch.arange(b * n, device=input_ids.device)
        if first_only:
            return self.encoder.encode(input_ids, token_type_ids, rows[::n])
        return self.encoder.encode(input_ids, token_type_ids, rows).view(b, n, -1)


class StackBertModel(StackBertPreTrainedModel):
    """The encoder alone."""

    def __init__(self, config: StackBertConfig) -> None:
        super().__init__(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Final states [b, n, d]."""
        states = self.states(input_ids, attention_mask, token_type_ids, first_only=False)
        return _returned(BaseModelOutput(last_hidden_state=states), return_dict)


class StackBertForMaskedLM(StackBertPreTrainedModel):
    """The encoder with its masked-token head."""

    def __init__(self, config: StackBertConfig) -> None:
        super().__init__(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Logits [b, n, V]; with `labels` [b, n] (-100: not counted) the mean cross-entropy."""
        states = self.states(input_ids, attention_mask, token_type_ids, first_only=False)
        logits = self.encoder.mlm_logits(states)
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return _returned(MaskedLMOutput(loss=loss, logits=logits), return_dict)


class StackBertForSequenceClassification(StackBertPreTrainedModel):
    """The encoder with one linear layer on the first position."""

    def __init__(self, config: StackBertConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Logits [b, o]; with `labels` [b] (or [b, o]) the mean loss of `config.problem_type`."""
        states = self.states(input_ids, attention_mask, token_type_ids, first_only=True)
        logits = self.classifier(states)
        loss = None if labels is None else self._loss(logits, labels)
        return _returned(SequenceClassifierOutput(loss=loss, logits=logits), return_dict)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.config.problem_type == "regression":
            return F.mse_loss(logits.flatten(), labels.flatten().to(logits.dtype))
        if self.config.problem_type == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits, labels.view_as(logits).to(logits))
        return F.cross_entropy(logits, labels)


def _returned(output: Output, return_dict: bool | None) -> Output | tuple[Tensor, ...]:
    return output.to_tuple() if return_dict is False else output
