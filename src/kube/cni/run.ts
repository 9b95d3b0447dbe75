import { isMapping } from "../load/check.js";
import type { CniCall, PluginConfig } from "./config.js";
import { CNI_CODE, CniFailure, fail } from "./failure.js";
import { goJsonError } from "./go-json.js";
import type { CniHost } from "./host.js";
import { cniPlugins } from "./index.js";
import type { CniPlugin } from "./plugin.js";
import { resultJson } from "./result.js";

/** What a plugin's process leaves behind. */
export interface CniOutcome {
  readonly exit: number;
  /** A result or an error as JSON; empty for verbs that print nothing. */
  readonly stdout: string;
  readonly stderr: string;
}

/** The protocol versions that plugins of release 1.1.1 speak. */
export const SPOKEN_VERSIONS: readonly string[] = [
  "0.1.0",
  "0.2.0",
  "0.3.0",
  "0.3.1",
  "0.4.0",
  "1.0.0",
];

/** Calls a plugin as a runtime does: environment and standard input in, exit code and output out. */
export function runPlugin(host: CniHost, name: string, call: CniCall): CniOutcome {
  const plugin = cniPlugins.find((candidate) => candidate.name === name);
  if (plugin === undefined)
    return failed(new CniFailure(`failed to find plugin "${name}" in path [/opt/cni/bin]`));
  if ((call.env["CNI_COMMAND"] ?? "") === "") {
    const stderr = `CNI ${name} plugin version unknown\nCNI protocol versions supported: ${SPOKEN_VERSIONS.join(", ")}\n`;
    return { exit: 0, stdout: "", stderr };
  }
  try {
    return { exit: 0, stdout: perform(host, plugin, call), stderr: "" };
  } catch (error) {
    if (error instanceof CniFailure) return failed(error);
    throw error;
  }
}

function failed({ code, message, detail }: CniFailure): CniOutcome {
  const body = { code, msg: message, ...(detail === undefined ? {} : { details: detail }) };
  return { exit: 1, stdout: printed(body), stderr: "" };
}

function printed(value: unknown): string {
  return JSON.stringify(value, undefined, 4);
}

/** Mirrors github.com/containernetworking/cni/pkg/skel/skel.go:pluginMain(). */
function perform(host: CniHost, plugin: CniPlugin, call: CniCall): string {
  const command = checkEnvironment(call);
  if (command === "VERSION")
    return printed({ cniVersion: "1.0.0", supportedVersions: SPOKEN_VERSIONS });
  const config = readConfig(call, command);
  switch (command) {
    case "ADD":
      return printed(resultJson(plugin.add(host, config, call), config.cniVersion));
    case "CHECK":
      plugin.check(host, config, call);
      return "";
    default:
      plugin.del(host, config, call);
      return "";
  }
}

const required: Readonly<Record<string, readonly string[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
  VERSION: [],
};

function checkEnvironment({ env }: CniCall): string {
  const command = env["CNI_COMMAND"] ?? "";
  const wanted = Object.hasOwn(required, command) ? required[command] : undefined;
  const missing = (wanted ?? []).filter((name) => (env[name] ?? "") === "");
  if (missing.length > 0) environmentFault(`required env variables [${missing.join(",")}] missing`);
  if (wanted === undefined) environmentFault(`unknown CNI_COMMAND: ${command}`);
  return command;
}

function readConfig(call: CniCall, command: string): PluginConfig {
  const raw = parseStdin(call.stdin);
  const id = call.env["CNI_CONTAINERID"] ?? "";
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id))
    environmentFault("invalid characters in containerID", id);
  if (command !== "DEL") checkInterfaceName(call.env["CNI_IFNAME"] ?? "");
  const cniVersion = typeof raw["cniVersion"] === "string" ? raw["cniVersion"] : "0.1.0";
  if (!SPOKEN_VERSIONS.includes(cniVersion)) {
    const spoken = SPOKEN_VERSIONS.map((version) => `"${version}"`).join(" ");
    throw new CniFailure(
      "incompatible CNI versions",
      CNI_CODE.incompatible,
      `config is "${cniVersion}", plugin supports [${spoken}]`,
    );
  }
  if (
    command === "CHECK" &&
    SPOKEN_VERSIONS.indexOf(cniVersion) < SPOKEN_VERSIONS.indexOf("0.4.0")
  ) {
    throw new CniFailure("config version does not allow CHECK", CNI_CODE.incompatible);
  }
  const name = typeof raw["name"] === "string" ? raw["name"] : "";
  const type = typeof raw["type"] === "string" ? raw["type"] : "";
  checkNetworkName(name);
  return { cniVersion, name, type, raw };
}

/** Mirrors cni/pkg/utils/utils.go:ValidateNetworkName(). */
export function checkNetworkName(name: string): void {
  if (name === "") throw new CniFailure("missing network name", CNI_CODE.configuration);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new CniFailure("invalid characters found in network name", CNI_CODE.configuration, name);
  }
}

function parseStdin(stdin: string): Record<string, unknown> {
  const mistake = goJsonError(stdin);
  if (mistake !== undefined)
    throw new CniFailure(`error unmarshall network config: ${mistake.message}`, CNI_CODE.decode);
  const value: unknown = JSON.parse(stdin);
  return isMapping(value)
    ? value
    : fail(
        "error unmarshall network config: json: cannot unmarshal into Go value of type types.NetConf",
      );
}

/** Mirrors cni/pkg/utils/utils.go:ValidateInterfaceName(). */
function checkInterfaceName(name: string): void {
  if (name.length > 15)
    environmentFault(
      "interface name is too long",
      "interface name should be less than 16 characters",
    );
  if (name === "." || name === "..") environmentFault("interface name is . or ..");
  if (/[/:\s]/.test(name))
    environmentFault("interface name contains / or : or whitespace characters");
}

function environmentFault(message: string, detail?: string): never {
  throw new CniFailure(message, CNI_CODE.environment, detail);
}
