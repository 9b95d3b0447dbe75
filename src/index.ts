/**
 * The engine that the command `hopwise` is a thin layer over: worlds, traces, labs, texts, rules and DNS. Nothing here
 * reads files, opens sockets or looks at a clock; texts are handed in. docs/library.md shows each in use.
 */
export { UserError, UserErrors, type Place, type UserErrorDetails } from "./base/errors.js";
export type { Recording, NameLookup, RequestInfo } from "./core/recording.js";
export type { Simulation } from "./core/simulation.js";
export type { TraceEvent } from "./core/trace.js";

export { loadWorld, labOf, type ClusterWorld, type LabWorld, type World } from "./lab/world.js";
export { checkWorld, type CheckReport } from "./lab/check.js";
export { traceRequest, type TraceRequest } from "./lab/trace.js";
export { loadWhatIf, type WhatIf, whatIfTitle } from "./lab/what-if/what-if.js";
export { type Branch, type Branches, traceBranches } from "./lab/what-if/branches.js";
export { diffWorlds, type WorldDiff } from "./lab/diff/diff-worlds.js";
export { type ObjectRule, objectRules, type ObjectRules } from "./lab/object-rules.js";
export { parseScenario } from "./lab/scenario/scenario-file.js";
export { runScenario, type ScenarioOptions } from "./lab/scenario/run-scenario.js";
export type { Scenario } from "./lab/scenario/scenario.js";
export type { ScenarioRecording } from "./core/scenario-recording.js";
export { scenarioView, type ScenarioView } from "./view/scenario.js";
export { formatScenario } from "./view/scenario-text.js";
export { scenarioJson } from "./view/scenario-json.js";
export { viewOf, type TraceView } from "./view/trace-view.js";
export { formatTrace, formatStep, formatVerdict } from "./view/text.js";
export { traceJson } from "./view/json.js";
export { tracePcapng } from "./view/pcapng.js";
export { formatErrors, errorsJson } from "./view/error-text.js";
export type { Step } from "./view/steps.js";
export { type Outcome, type Verdict, verdictName } from "./view/outcome.js";

export { policyWorldOf } from "./lab/policies.js";
export { judge as policyVerdict } from "./kube/policy/oracle.js";
export type { SideVerdict, Verdict as PolicyVerdict } from "./kube/policy/verdict.js";
export { type Dialect, parseDialect } from "./kube/policy/dialect.js";
export { askWhy, type WhyAnswers, type WhyQuestion } from "./lab/ask-why.js";
export { whyJson, type WhyJson } from "./kube/policy/why-json.js";
export { assumptionText, whyTexts } from "./kube/policy/why-text.js";
export { connectivityMatrix, type Matrix } from "./kube/policy/matrix.js";
export { diffJson, diffMatrices } from "./kube/policy/matrix-diff.js";
export { matrixReasons } from "./kube/policy/matrix-reasons.js";
export { matrixSvg } from "./kube/policy/matrix-svg.js";
export { matrixJson, matrixText } from "./kube/policy/matrix-text.js";

export { parseLab } from "./lab/lab-file.js";
export { buildLab } from "./lab/build.js";
export { labScript } from "./lab/shell.js";
export { sendRequest, type OutgoingRequest } from "./lab/send.js";
export type { Lab, Listener, Probe } from "./lab/lab.js";
export { formatFrame } from "./wire/format-frame.js";
export { formatIpv4, parseIpv4, type Ipv4 } from "./wire/ip.js";
export { runTool } from "./tools/index.js";
export type { LabCommand, ToolResult } from "./tools/command.js";

export { formatRulesText } from "./netfilter/iptables/format-rules.js";
export { parseRestore } from "./netfilter/iptables/restore.js";
export { formatSave } from "./netfilter/iptables/save.js";
export { parseCorefile } from "./kube/dns/corefile.js";
export { formatCorefile } from "./kube/dns/format.js";
export { parseConflist } from "./kube/cni/conflist.js";
export { formatConflist } from "./kube/cni/format.js";

export { renderNodeRules, type NodeRules } from "./lab/node-rules.js";
export { askDns, type DnsReply } from "./lab/ask-dns.js";
export {
  DnsProgram,
  dnsParts,
  dnsPartsOf,
  type DnsProgramOptions,
  type DnsProgramParts,
  type DnsProgramReply,
} from "./lab/dns-program.js";
export { digRequest, type DigRequest } from "./lab/dig.js";
export type { DigRecording } from "./core/dig-recording.js";
export { formatDig, digJson } from "./view/dig.js";
export { newQuery } from "./kube/dns/messages.js";
export { decodeDns, encodeDns } from "./wire/dns.js";
export type { DnsMessage } from "./wire/dns-message.js";
export { type Micros, milliseconds, seconds } from "./sim/time.js";
