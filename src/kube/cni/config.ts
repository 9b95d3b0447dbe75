import { isMapping } from "../load/check.js";
import { fail } from "./failure.js";

/** What a plugin reads from its standard input, beyond what every plugin's framework checks. */
export interface PluginConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly type: string;
  /** The whole object. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface RouteConfig {
  readonly dst: string;
  readonly gw?: string;
}

/** How the environment calls the plugin. */
export interface CniCall {
  /** `CNI_COMMAND`, `CNI_CONTAINERID`, `CNI_NETNS`, `CNI_IFNAME`, `CNI_PATH`, `CNI_ARGS`. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** A field as Go's decoder reads it: absent and null give the default, another type ends the plugin. */
export function stringField(
  object: Readonly<Record<string, unknown>>,
  key: string,
  otherwise = "",
): string {
  const value = object[key] ?? otherwise;
  return typeof value === "string" ? value : fail(wrongType(value, key, "string"));
}

export function boolField(
  object: Readonly<Record<string, unknown>>,
  key: string,
  otherwise = false,
): boolean {
  const value = object[key] ?? otherwise;
  return typeof value === "boolean" ? value : fail(wrongType(value, key, "bool"));
}

export function numberField(
  object: Readonly<Record<string, unknown>>,
  key: string,
  otherwise = 0,
): number {
  const value = object[key] ?? otherwise;
  return typeof value === "number" && Number.isInteger(value)
    ? value
    : fail(wrongType(value, key, "int"));
}

export function listField(
  object: Readonly<Record<string, unknown>>,
  key: string,
): readonly unknown[] {
  const value = object[key] ?? [];
  return Array.isArray(value) ? value : fail(wrongType(value, key, "slice"));
}

export function stringsField(
  object: Readonly<Record<string, unknown>>,
  key: string,
): readonly string[] {
  return listField(object, key).map((value) =>
    typeof value === "string" ? value : fail(wrongType(value, key, "string")),
  );
}

export function mappingField(
  object: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> {
  const value = object[key] ?? {};
  return isMapping(value) ? value : fail(wrongType(value, key, "struct"));
}

function wrongType(value: unknown, key: string, wanted: string): string {
  const found = Array.isArray(value)
    ? "array"
    : typeof value === "boolean"
      ? "bool"
      : isMapping(value)
        ? "object"
        : typeof value;
  return `failed to load netconf: json: cannot unmarshal ${found} into Go struct field NetConf.${key} of type ${wanted}`;
}

/**
 * `CNI_ARGS`: `K=V;K=V`. Keys that are not in `known` are refused unless `IgnoreUnknown=1`. Mirrors
 * github.com/containernetworking/cni/pkg/types/args.go:LoadArgs().
 */
export function parseArgs(
  text: string | undefined,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  const unknown: string[] = [];
  for (const pair of (text ?? "").split(";")) {
    if (pair === "") continue;
    const parts = pair.split("=");
    const [key = "", value = ""] = parts;
    if (parts.length !== 2) fail(`ARGS: invalid pair "${pair}"`);
    if (key === "IgnoreUnknown" || known.includes(key)) args.set(key, value);
    else unknown.push(pair);
  }
  if (unknown.length > 0 && !/^(1|true)$/i.test(args.get("IgnoreUnknown") ?? "")) {
    fail(`ARGS: unknown args [${unknown.map((pair) => `"${pair}"`).join(" ")}]`);
  }
  return args;
}
