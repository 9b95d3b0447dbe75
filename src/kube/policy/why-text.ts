import { fold } from "../../base/fold.js";
import { counted } from "../../base/counted.js";
import type { Place } from "../../base/errors.js";
import { safeText } from "../../base/safe-text.js";
import { formatAddress } from "./cidr.js";
import { switchText } from "./dialect.js";
import type { Step } from "./edit.js";
import type { PolicyExplanation, RuleExplanation, SideExplanation } from "./explain.js";
import type { ClusterStep } from "./explain-cluster.js";
import type { Fix } from "./fixes.js";
import { probeName } from "./matrix.js";
import { policyName, reasonText, ruleName } from "./reason-text.js";
import type { Endpoint } from "./world.js";
import type { WhyAnswer } from "./why.js";

export interface WhyTextOptions {
  /** Which fix is shown in full; counts from 1. */
  readonly fix?: number;
  /** Every rule and not only the nearest. */
  readonly all?: boolean;
}

/** Where the text of a side begins, and how wide it is before the verdict. */
const TEXT_COLUMN = 24;
const TEXT_WIDTH = 48;
/** How many rules of a policy are shown without `all`. */
const RULES_SHOWN = 3;

/** The answer for a terminal, one line each. spec/ux.md S2. */
export function whyText(
  answer: WhyAnswer,
  { fix = 1, all = false }: WhyTextOptions = {},
): readonly string[] {
  const { flow, sides, verdict, traps, fixes } = answer;
  const word = { allow: "ALLOWED", deny: "DENIED", unknown: "UNKNOWN" }[verdict.outcome];
  const pair = `${endpointName(flow.source)} -> ${endpointName(flow.destination)} ${probeName(flow)}`;
  const where = sides
    .filter(({ verdict: side }) => verdict.outcome !== "allow" && side.outcome === verdict.outcome)
    .map(sidePlace);
  const width = Math.max(
    TEXT_COLUMN,
    13 + Math.max(...sides.map(({ subject }) => endpointName(subject).length)),
  );
  return [
    `${word}  ${pair}${where.length === 0 ? "" : `, ${where.join(" and ")}`}`,
    ...sides.flatMap((side) => sideLines(side, width, all)),
    ...traps.map((trap) => `note: ${safeText(trap)}`),
    ...fixLines(fixes, fix),
    ...(verdict.outcome === "deny" && fixes.length === 0
      ? ["no fix found: nothing that hopwise can write would allow it"]
      : []),
  ];
}

/**
 * The answers for all backends of a Service. Backends of which the same is to be said share one text, with a line that
 * names the others.
 */
export function whyTexts(
  answers: readonly WhyAnswer[],
  options: WhyTextOptions = {},
): readonly string[] {
  const groups = new Map<
    string,
    { readonly lines: readonly string[]; readonly others: Endpoint[] }
  >();
  for (const answer of answers) {
    const lines = whyText(answer, options);
    const { destination } = answer.flow;
    const key = lines.map((line) => withoutName(line, destination)).join("\n");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { lines, others: [] });
    else if (group.lines[0] !== lines[0]) group.others.push(destination);
  }
  return [...groups.values()].flatMap(({ lines, others }, at) => [
    ...(at === 0 ? [] : [""]),
    ...lines,
    ...(others.length === 0 ? [] : [`the same for ${others.map(endpointPlace).join(", ")}`]),
  ]);
}

/**
 * Lines that fit a terminal: what is longer goes on below, where its text began. Lines of a patch and commands are left
 * whole, as they are to be copied.
 */
export function fitLines(lines: readonly string[], width: number): readonly string[] {
  return lines.flatMap((line) => {
    if (line.length <= width || /^  [+$]/.test(line)) return [line];
    // What stands to the right may come nearer.
    const near = line.replace(/(\S) {3,}(\S+( \S+)*)$/, "$1  $2");
    return fold(near, width, " ".repeat(indentOf(near)));
  });
}

function indentOf(line: string): number {
  return line.startsWith("    ") ? TEXT_COLUMN : line.startsWith(" ") ? 11 : 8;
}

function withoutName(line: string, endpoint: Endpoint): string {
  const plain = line
    .replaceAll(endpointPlace(endpoint), "~")
    .replaceAll(endpointName(endpoint), "~");
  const short = endpoint.kind === "pod" ? plain.replaceAll(endpoint.name, "~") : plain;
  return short.replaceAll(/ +/g, " ");
}

/**
 * What the answer takes for granted where the API leaves it to the plugin: the dialect, the switches without which the
 * verdict would be another, and what a refused client sees.
 */
export function assumptionText(answers: readonly WhyAnswer[]): string {
  const [first] = answers;
  if (first === undefined) return "";
  const { dialect } = first;
  const names = [...new Set(answers.flatMap(({ hangsOn }) => hangsOn))];
  const hangs =
    names.length === 0
      ? "the verdict hangs on none of its switches"
      : `the verdict hangs on: ${names.map((name) => switchText(dialect, name)).join("; ")}`;
  const sees =
    dialect.refusal === "reject"
      ? "connection refused at once"
      : "a timeout, as nothing comes back";
  const denied = answers.some(({ verdict }) => verdict.outcome === "deny");
  return `dialect ${dialect.name}: ${hangs}${denied ? `; the client sees ${sees}` : ""}`;
}

export function endpointName(endpoint: Endpoint): string {
  return safeText(endpoint.kind === "pod" ? endpoint.key : formatAddress(endpoint.address));
}

/** `ingress of shop/db-0 (worker-2)`. */
function sidePlace({ direction, subject }: SideExplanation): string {
  return `${direction} of ${endpointPlace(subject)}`;
}

/** `shop/db-0 (worker-2)`. */
function endpointPlace(endpoint: Endpoint): string {
  const node =
    endpoint.kind === "pod" && endpoint.node !== undefined ? ` (${safeText(endpoint.node)})` : "";
  return `${endpointName(endpoint)}${node}`;
}

function sideLines(side: SideExplanation, width: number, all: boolean): readonly string[] {
  const { direction, subject, verdict } = side;
  const mark = { allow: "  allowed", deny: "! DENIED", unknown: "? UNKNOWN" }[verdict.outcome];
  const head = `  ${direction.padEnd(9)}${endpointName(subject)}`.padEnd(width);
  const said = sideText(side);
  const line = `${head}${said.padEnd(Math.max(TEXT_WIDTH, said.length + 2))}${mark}`;
  return [
    line,
    ...clusterLines(side, all),
    ...ambiguousLines(side),
    ...(verdict.reason.kind === "denied-no-rule"
      ? side.policies.flatMap((policy) => policyLines(policy, direction, all))
      : []),
    ...(verdict.reason.kind === "allowed-by" ? allowingLine(side) : []),
    ...(verdict.outcome === "deny"
      ? side.dormant.map((policy) => dormantLine(policy, direction))
      : []),
  ];
}

/** `1 policy selects it, 0 of its 1 rules match`. */
export function sideText({ policies, verdict }: SideExplanation): string {
  const { reason } = verdict;
  if (reason.kind === "cluster-rule")
    return safeText(
      `${reason.tier} tier: ${reason.action === "Accept" ? "accepted" : "denied"} by ${reason.rule.policy.key} rule ${reason.rule.index + 1}`,
    );
  // What is missing stands below, with the rule.
  if (reason.kind === "unknown") return safeText(`not known: it hangs on ${ruleName(reason.rule)}`);
  if (reason.kind !== "denied-no-rule") return safeText(reasonText(reason));
  const rules = policies.reduce((sum, policy) => sum + policy.rules.length, 0);
  const one = policies.length === 1;
  const count = one ? "1 policy selects it" : `${policies.length} policies select it`;
  return rules === 0
    ? `${count} and ${one ? "has" : "have"} no rules`
    : `${count}, 0 of ${one ? "its" : "their"} ${rules} rules match`;
}

function placeText({ file, line, column }: Place): string {
  return safeText(`${file}:${line}:${column}`);
}

function column(name: string, text: string): string {
  return `    ${safeText(name)}`.padEnd(TEXT_COLUMN - 2).concat("  ") + safeText(text);
}

function policyLines(
  { policy, place, rules }: PolicyExplanation,
  direction: string,
  all: boolean,
): readonly string[] {
  const name = policyName(policy);
  if (rules.length === 0)
    return [column(name, `${placeText(place)}  has no ${direction} rules: it allows nothing`)];
  const shown = all ? rules : rules.slice(0, RULES_SHOWN);
  const lines = shown.flatMap((rule, at) => ruleLines(at === 0 ? name : "", rule));
  const more = rules.length - shown.length;
  return more === 0
    ? lines
    : [...lines, column("", `and ${counted(more, "more rule")} further away (-v shows them)`)];
}

function ruleLines(name: string, { place, text, failures }: RuleExplanation): readonly string[] {
  return [
    column(name, `${placeText(place)}  ${text}`),
    ...failures.map((failure) => column("", failure)),
  ];
}

function allowingLine({ verdict, policies }: SideExplanation): readonly string[] {
  if (verdict.reason.kind !== "allowed-by") return [];
  const { rule } = verdict.reason;
  const found = policies
    .flatMap(({ rules }) => rules)
    .find(({ ref }) => ref.index === rule.index && ref.policy.key === rule.policy.key);
  return found === undefined
    ? []
    : [column(policyName(rule.policy), `${placeText(found.place)}  ${found.text}`)];
}

/** The walk through the tiers: the rules that matched, and those that nearly did. */
function clusterLines(side: SideExplanation, all: boolean): readonly string[] {
  const shown = side.cluster.filter(
    (step) => all || step.effect !== undefined || isNearMiss(step, side),
  );
  let before: string | undefined;
  return shown.flatMap((step) => {
    const { policy, index } = step.ref;
    const name = policyName(policy) === before ? "" : policyName(policy);
    before = policyName(policy);
    const title = `rule ${index + 1}${step.name === undefined ? "" : ` "${step.name}"`}`;
    const head =
      name === "" ? [] : [`    ${safeText(name)}  ${step.tier} tier, priority ${step.priority}`];
    return [
      ...(policy.kind === "BaselineAdminNetworkPolicy" ? head.map(withoutPriority) : head),
      column("", `${placeText(step.place)}  ${title}: ${step.text}`),
      ...(step.effect === undefined
        ? step.failures.map((failure) => column("", failure))
        : [column("", effectText(step, side))]),
    ];
  });
}

function withoutPriority(line: string): string {
  return line.replace(/, priority \d+$/, "");
}

/** A rule that would have let the flow through, and that one clause kept from it. */
function isNearMiss({ action, cost, effect }: ClusterStep, { verdict }: SideExplanation): boolean {
  return (
    effect === undefined &&
    verdict.reason.kind === "cluster-rule" &&
    verdict.outcome === "deny" &&
    action !== "Deny" &&
    cost <= 2
  );
}

function effectText({ effect, tier }: ClusterStep, { policies }: SideExplanation): string {
  switch (effect) {
    case "Accept":
      return tier === "Admin" ? "accepted: no NetworkPolicy is asked" : "accepted";
    case "Deny":
      return tier === "Admin"
        ? "denied: no NetworkPolicy can undo it"
        : "denied: a NetworkPolicy would be asked first, and none selects the pod";
    case "Pass":
      if (tier === "Baseline") return "passed: nothing comes after it, so it is allowed";
      return policies.length === 0
        ? "passed on to the NetworkPolicies, of which none selects the pod"
        : "passed on to the NetworkPolicies";
    default:
      return "not known: the world does not say which addresses the domain names stand for";
  }
}

function ambiguousLines({ verdict: { ambiguous } }: SideExplanation): readonly string[] {
  if (ambiguous === undefined) return [];
  const rules = ambiguous.map(ruleName).join(" and ");
  return [
    column("", `${rules} have one priority and disagree: the API leaves open which of them wins`),
  ];
}

function dormantLine({ policy, place, rules }: PolicyExplanation, direction: string): string {
  const fits = rules.some(({ matches }) => matches)
    ? "one of which would match"
    : `${rules.length}`;
  return column(
    policyName(policy),
    `${placeText(place)}  has ${direction} rules (${fits}) that are dead: its policyTypes leave the direction out`,
  );
}

/** `FIX 1 of 2, smallest: opens 1 of 42 pod pairs, tcp/5432 only       (--fix 2 shows the other)`. */
function fixLines(fixes: readonly Fix[], number: number): readonly string[] {
  const fix = fixes[number - 1];
  if (fix === undefined) return [];
  const others =
    fixes.length === 1
      ? ""
      : fixes.length === 2
        ? `(--fix ${number === 1 ? 2 : 1} shows the other)`
        : `(--fix ${number === fixes.length ? 1 : number + 1} shows the next)`;
  const head = `FIX ${number} of ${fixes.length}${number === 1 ? ", smallest" : ""}: ${fixCounts(fix)}`;
  return [others === "" ? head : `${head.padEnd(65)}  ${others}`, ...fix.steps.flatMap(stepLines)];
}

/** `opens 1 of 42 pod pairs, tcp/5432 only`. */
export function fixCounts({ opens, closes, pairs, ports, allPorts }: Fix): string {
  const which = allPorts
    ? "all ports"
    : ports.length === 0
      ? ""
      : `${ports.slice(0, 4).join(", ")}${ports.length > 4 ? " and more" : " only"}`;
  if (opens === 0 && closes === 0) return `opens nothing between pods but what was asked for`;
  return `opens ${opens} of ${pairs} pod pairs${which === "" ? "" : `, ${which}`}${closes === 0 ? "" : `, closes ${closes}`}`;
}

function stepLines(step: Step): readonly string[] {
  switch (step.kind) {
    case "patch": {
      const { file, afterLine, remove, insert } = step;
      const where = remove === 0 ? `after line ${afterLine}` : `instead of line ${afterLine + 1}`;
      return [`  ${safeText(file)}, ${where}:`, ...insert.map((line) => `  +${safeText(line)}`)];
    }
    case "new-file":
      return ["  a new file:", ...step.lines.map((line) => `  +${safeText(line)}`)];
    case "command":
      return [`  $ ${safeText(step.line)}`];
    default:
      return step satisfies never;
  }
}
