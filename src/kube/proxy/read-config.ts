import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { DEFAULT_SETTINGS, type ProxySettings } from "./config.js";
import { SETTINGS, type Fail, type Setting } from "./config-settings.js";
import type { FieldPath } from "./objects.js";

/** Fields and flags whose meaning is not in the rules of the modes rendered here: kube-proxy takes them, and so do we. */
const OTHER_FIELDS: readonly string[] = [
  "apiVersion",
  "kind",
  "bindAddress",
  "bindAddressHardFail",
  "clientConnection",
  "configSyncPeriod",
  "conntrack",
  "enableProfiling",
  "healthzBindAddress",
  "hostnameOverride",
  "ipvs",
  "linux",
  "logging",
  "metricsBindAddress",
  "oomScoreAdj",
  "portRange",
  "showHiddenMetricsForVersion",
  "udpIdleTimeout",
  "windowsRunAsService",
  "winkernel",
  "syncPeriod",
  "minSyncPeriod",
  "iptables.syncPeriod",
  "iptables.minSyncPeriod",
  "nftables.syncPeriod",
  "nftables.minSyncPeriod",
];

/**
 * Reads a KubeProxyConfiguration, as the kube-proxy ConfigMap holds it in `config.conf`, already out of its YAML. A null
 * is a field that is not set. Throws UserError for a value that kube-proxy would refuse, and for a field it does not know.
 */
export function readProxyConfiguration(
  value: unknown,
  detailsOf?: (path: FieldPath) => UserErrorDetails | undefined,
): ProxySettings {
  let settings = DEFAULT_SETTINGS;
  const nftables = isRecord(value) && value["mode"] === "nftables";
  for (const [path, given] of fieldsOf(value, [])) {
    const name = path.join(".");
    const fail = failAt(name, detailsOf?.(path));
    const setting = SETTINGS.find(
      ({ field }) => field === name.replace(/^nftables\./, "iptables."),
    );
    if (setting === undefined) refuseUnknown(path, fail);
    else {
      const read = applied(setting, given, fail);
      // Both sections hold a mark; the one of the mode counts.
      if (path[0] !== (nftables ? "iptables" : "nftables")) settings = { ...settings, ...read };
    }
  }
  return checked(settings);
}

/**
 * Reads kube-proxy's command line, without the program's name. Flags of the parts not modelled are passed over.
 * `--config` is for the caller: `base` is what that file says, and kube-proxy then takes no other flag but `--hostname-override`.
 */
export function readProxyFlags(
  args: readonly string[],
  base: ProxySettings = DEFAULT_SETTINGS,
): ProxySettings {
  let settings = base;
  for (let index = 0; index < args.length; index++) {
    const [, flag, inline] = /^--?([a-z][-a-z0-9]*)(?:=(.*))?$/s.exec(args[index] ?? "") ?? [];
    const setting = SETTINGS.find((one) => one.flag === flag);
    if (setting === undefined) continue;
    const fail = failAt(`--${setting.flag}`, undefined);
    // A boolean flag takes its value only after `=`.
    const text =
      inline ??
      (setting.type === "boolean" ? "true" : (args[++index] ?? fail("flag needs an argument")));
    settings = { ...settings, ...applied(setting, fromFlag(setting, text, fail), fail) };
  }
  return checked(settings);
}

function refuseUnknown(path: FieldPath, fail: Fail): void {
  const name = path.join(".");
  if (OTHER_FIELDS.includes(name)) return;
  const guess = nearest(name, [...SETTINGS.map(({ field }) => field), ...OTHER_FIELDS]);
  fail("unknown field", guess === undefined ? undefined : `did you mean "${guess}"?`);
}

/** The fields that are set, two levels deep where the known ones are. */
function* fieldsOf(value: unknown, prefix: FieldPath): Generator<[FieldPath, unknown]> {
  if (!isRecord(value))
    throw new UserError("KUBE_PROXY_CONFIG", "KubeProxyConfiguration must be a mapping");
  for (const [key, field] of Object.entries(value)) {
    if (field === null || field === undefined) continue;
    const path = [...prefix, key];
    if (
      prefix.length === 0 &&
      ["iptables", "nftables", "detectLocal"].includes(key) &&
      isRecord(field)
    ) {
      yield* fieldsOf(field, path);
    } else yield [path, field];
  }
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function failAt(name: string, details: UserErrorDetails | undefined): Fail {
  return (message, help) => {
    throw new UserError("KUBE_PROXY_CONFIG", `KubeProxyConfiguration: ${name}: ${message}`, {
      ...details,
      help,
    });
  };
}

function applied(setting: Setting, value: unknown, fail: Fail): Partial<ProxySettings> {
  const right = {
    string: (): boolean => typeof value === "string",
    boolean: (): boolean => typeof value === "boolean",
    number: (): boolean => typeof value === "number",
    strings: (): boolean => Array.isArray(value) && value.every((one) => typeof one === "string"),
    gates: (): boolean =>
      isRecord(value) && Object.values(value).every((one) => typeof one === "boolean"),
  }[setting.type]();
  if (!right) return fail(`must be ${TYPE_WORDS[setting.type]}`);
  return setting.apply(value as never, fail);
}

const TYPE_WORDS: { readonly [type in Setting["type"]]: string } = {
  string: "a string",
  boolean: "true or false",
  number: "a number",
  strings: "a list of strings",
  gates: "a mapping of gates to true or false",
};

function fromFlag(setting: Setting, text: string, fail: Fail): unknown {
  switch (setting.type) {
    case "string":
      return text;
    case "boolean":
      return booleanOf(text, fail);
    case "number":
      return /^\d{1,9}$/.test(text)
        ? Number(text)
        : fail(`invalid argument ${JSON.stringify(text)}`);
    case "strings":
      return text === "" ? [] : text.split(",");
    case "gates":
      return Object.fromEntries(
        text
          .split(",")
          .filter((pair) => pair !== "")
          .map((pair) => {
            const [gate = "", on = ""] = pair.split("=");
            return [gate, booleanOf(on, fail)];
          }),
      );
  }
}

/** Mirrors strconv.ParseBool. */
function booleanOf(text: string, fail: Fail): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return fail(`invalid boolean value ${JSON.stringify(text)}`);
}

function checked(settings: ProxySettings): ProxySettings {
  const needs = {
    BridgeInterface: "bridgeInterface",
    InterfaceNamePrefix: "interfaceNamePrefix",
  } as const;
  const mode = settings.detectLocalMode;
  if (
    (mode === "BridgeInterface" || mode === "InterfaceNamePrefix") &&
    settings[needs[mode]] === ""
  ) {
    failAt(`detectLocal.${needs[mode]}`, undefined)(`must be set for detectLocalMode ${mode}`);
  }
  return settings;
}
