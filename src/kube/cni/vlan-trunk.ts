import { isMapping } from "../load/check.js";
import { listField, numberField } from "./config.js";
import { fail } from "./failure.js";

const LAST_VLAN = 4094;

/** The VLANs of `vlanTrunk`, each once and in order: items with `id`, with `minID` and `maxID`, or both. Mirrors plugins/main/bridge/bridge.go:collectVlanTrunk(). */
export function trunkVlans(raw: Readonly<Record<string, unknown>>): readonly number[] {
  const found = new Set<number>();
  for (const item of listField(raw, "vlanTrunk")) {
    if (!isMapping(item)) return refuse("json: cannot unmarshal an item of vlanTrunk");
    const [first, last] = rangeOf(item);
    for (let id = first; id <= last; id++) found.add(id);
    if (item["id"] !== undefined) found.add(within(item, "id"));
  }
  return [...found].toSorted((a, b) => a - b);
}

/** An empty range when none is written. */
function rangeOf(item: Readonly<Record<string, unknown>>): readonly [number, number] {
  const { minID, maxID } = item;
  if (minID === undefined && maxID === undefined) return [1, 0];
  const together = "minID and maxID should be configured simultaneously";
  if (minID === undefined) return refuse(`${together}, minID is missing`);
  if (maxID === undefined) return refuse(`${together}, maxID is missing`);
  const range = [within(item, "minID"), within(item, "maxID")] as const;
  if (range[1] < range[0]) refuse("minID is greater than maxID in trunk parameter");
  return range;
}

function within(item: Readonly<Record<string, unknown>>, key: "id" | "minID" | "maxID"): number {
  const id = numberField(item, key);
  return id <= 0 || id > LAST_VLAN ? refuse(`incorrect trunk ${key} parameter`) : id;
}

function refuse(why: string): never {
  return fail(`failed to parse vlan trunks: ${why}`);
}
