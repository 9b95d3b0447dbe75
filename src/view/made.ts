import type { Place } from "../base/errors.js";
import type { MadeFor, Recording, RuleMaker } from "../core/recording.js";

/** `made by kube-proxy for Service shop/api (shop.yaml:27)`: who wrote a rule of a generated text, and for what. */
export function madeText(maker: RuleMaker, place: Place): string {
  const made = maker.line?.(place.line);
  if (made === undefined) {
    const origin = maker.origins.get(place.line);
    return `made by ${maker.name}${origin === undefined ? "" : ` for ${origin}`}`;
  }
  return made.objects.length === 0
    ? `made by ${made.by}: ${made.why}`
    : `made by ${made.by} for ${made.objects.map(madeForText).join(", ")}`;
}

/** `Service shop/api (shop.yaml:27)`. */
export function madeForText({ kind, name, place }: MadeFor): string {
  return `${kind} ${name}${place === undefined ? "" : ` (${place.file}:${place.line})`}`;
}

/** The same for `-o json`; null for a rule that nobody generated. */
export function madeJson({ makers }: Recording, place: Place | undefined): object | null {
  const made = place === undefined ? undefined : makers.get(place.file)?.line?.(place.line);
  if (made === undefined) return null;
  return {
    by: made.by,
    why: made.why,
    for: made.objects.map((one) => ({
      kind: one.kind,
      name: one.name,
      source: one.place ?? null,
    })),
  };
}
