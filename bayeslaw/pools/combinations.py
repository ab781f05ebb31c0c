"""How a pool's loss on a sample follows from its members'."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from bayeslaw.inputs.arguments import a_choice, a_seed, accepts, optional, texts
from bayeslaw.losses.table_arguments import untold_losses
from bayeslaw.losses.token_folders import TokenFolder, a_token_table
from bayeslaw.pools.rules import USUAL_RULE, find_rule, rule_names
from bayeslaw.pools.sample_features import a_features_table
from bayeslaw.pools.scored_pool import scored_pool, tell_leaks
from bayeslaw.pools.table_rules import check_of_table


@accepts(
    losses=untold_losses,
    members=texts,
    rule=a_choice(rule_names),
    seed=a_seed,
    token_losses=optional(a_token_table),
    features=optional(a_features_table),
)
def combine(
    losses: xr.Dataset,
    members: Sequence[str],
    *,
    rule: str = USUAL_RULE,
    seed: int = 0,
    token_losses: xr.Dataset | TokenFolder | None = None,
    features: pd.DataFrame | None = None,
) -> xr.DataArray:
    r"""Compute a pool's loss on every sample.

    Parameters
    ----------
    losses
        A loss table.
    members
        Names of the pool's models.
    rule
        ``"oracle"``: :math:`\min_m nll_{sm}`, a bound that is in general not attained. ``"mixture"``: :math:`-\log
        \frac1K \sum_m e^{-nll_{sm}}`, the ensemble that mixes whole samples. ``"stacked"``: :math:`-\log \sum_m w_m
        e^{-nll_{sm}}` with the weights that lose least on the other folds of whole clusters. ``"routed"``: the loss of
        one member, taken for each sample by a router trained on the other folds, which sees the table's columns
        ``domain``, ``unit``, ``bytes`` and ``tokens`` and the features given. ``"cascade"``: the smallest member, and
        the next larger one where its loss is above a threshold chosen on the other folds; it sees a part of the losses
        that it is judged by. ``"cascade_by_feature"``: the same by one of the features given. ``"best"``: the
        loss of the member that is best on the other folds of whole clusters. For members of one tokenizer, the sample's
        sum over its tokens t of: ``"token_mixture"``, :math:`-\log \frac1K \sum_m p_m(t)`, the ensemble that mixes the
        distributions of every token; ``"token_oracle"``, :math:`\min_m -\log p_m(t)`, which is at most the oracle's
        loss.
    seed
        Seed of the folds; of use to rules that choose only.
    token_losses
        Losses of the tokens of the same texts, as `bayeslaw.read_token_losses` returns them, or the path of the folder
        that it would read, of which memory then holds a few tokens at a time; needed by, and of use to, the rules of
        tokens only. Of a folder, they are kept meanwhile where Python's `tempfile` keeps files: eight bytes a token and
        model, and for pools up to three times as much.
    features
        What is known of each sample before any model has run, as a frame or the path of a CSV or Parquet file: one row
        a sample, columns of numbers, and one called ``text`` of texts; see
        `bayeslaw.pools.sample_features.given_features`. Of use to ``"routed"`` and ``"cascade_by_feature"`` only.

    Returns
    -------
    xarray.DataArray
        Loss of the whole sample in nats, [sample].

    Raises
    ------
    InputError
        If the rule or a member is not known, a member is named twice, a rule that chooses meets a table of one cluster,
        a rule of tokens lacks the losses of tokens, is given those of other losses, or of models of other tokenizers,
        or nothing is known that the rule looks at, or a feature is constant or missing on some samples.

    Warns
    -----
    LossTableWarning
        If a feature was likely computed from losses.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> best = bl.combine(losses, ["zoo-gpt2-1.5m", "zoo-llama-1.5m"], rule="oracle")
    >>> bool((best <= losses["nll"].sel(lm="zoo-llama-1.5m")).all())
    True
    """
    wanted = check_of_table(find_rule(rule), losses)
    pool = scored_pool(losses, members, seed=seed, token_losses=token_losses, features=features)
    tell_leaks(pool)
    attributes = {"rule": rule, "unit": f"nats per {losses.attrs.get('unit', 'sample')}"}
    coordinates = {"sample": pool.losses["sample"]}
    return xr.DataArray(pool.lost(wanted), dims="sample", coords=coordinates, name="loss", attrs=attributes)
