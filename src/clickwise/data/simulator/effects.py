"""How strong the effects are that make up the log-odds of a click."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """Standard deviations of the effects in log-odds, unless said otherwise.

    Args:
        drift: how far a campaign's effect swings, over 5 to 40 days.
        ad, ad_vector: what an ad has of its own, beside its campaign's effect and latent vector.
        price: change for each unit of log price.
        position: fall from one position to the next on a desktop; phones scroll, so there it is a fifth of that.
        hour: swing over the day, with a peak of its own for each device.
        age: how much 16 years from the age of 42, in either direction, add.
        interest, segment_latent, site_latent, user_latent: inner products with the ad's latent vector.
        pair_share: chance that a pair of a segment and a campaign carries an effect of its own; the same for a site and
            a campaign. About twice this share of impressions carry at least one. In a catalogue, products take the
            place of campaigns.
        pair: size of such an effect; 3 of 5 raise the odds, 2 of 5 lower them.
        format, format_device, tier_segment: of an ad's format alone and on a device, and of its price tier for a
            segment; in a catalogue only.
    """

    site: float = 0.30
    category: float = 0.12
    campaign: float = 0.33
    drift: float = 0.20
    ad: float = 0.20
    ad_vector: float = 0.10
    segment: float = 0.20
    device: float = 0.15
    system: float = 0.10
    user: float = 0.12
    price: float = -0.15
    position: float = 0.30
    hour: float = 0.20
    age: float = 0.30
    interest: float = 0.85
    segment_latent: float = 0.45
    site_latent: float = 0.40
    user_latent: float = 0.08
    pair_share: float = 0.05
    pair: float = 1.3
    format: float = 0.0
    format_device: float = 0.0
    tier_segment: float = 0.0


EFFECTS = Effects()
CATALOGUE_EFFECTS = replace(EFFECTS, ad=0.10, pair=0.8, format=0.15, format_device=0.25, tier_segment=0.25)
"""Those of a catalogue: what an ad shares with others says more of it than what it has of its own."""
