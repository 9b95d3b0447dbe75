import type { WhyAnswers, WhyQuestion } from "../lab/ask-why.js";
import type {
  ClusterStep,
  PolicyExplanation,
  RuleExplanation,
  SideExplanation,
} from "../kube/policy/explain.js";
import type { Step } from "../kube/policy/edit.js";
import type { Fix } from "../kube/policy/fixes.js";
import { probeName } from "../kube/policy/matrix.js";
import { policyName, ruleName } from "../kube/policy/reason-text.js";
import { fixCounts, sideText, endpointName } from "../kube/policy/why-text.js";
import type { WhyAnswer } from "../kube/policy/why.js";
import { placeText } from "../view/text.js";
import { type Detail, heading, type Item, item } from "./items.js";
import type { Tone } from "./style.js";
import type { OpenWorld } from "./ui-state.js";

const WORDS: Readonly<Record<"allow" | "deny" | "unknown", readonly [string, Tone]>> = {
  allow: ["ok ALLOWED", "ok"],
  deny: ["! DENIED", "bad"],
  unknown: ["? UNKNOWN", "unknown"],
};

/** What the policies say, side by side and rule by rule, and what would change it. The first item is the verdict. */
export function whyItems(
  open: OpenWorld,
  { source, destination, protocol }: WhyQuestion,
  { name, answers }: WhyAnswers,
): readonly Item[] {
  const words = `${source} ${destination}${protocol === "TCP" ? "" : ` --proto ${protocol.toLowerCase()}`}`;
  if (answers.length === 0) {
    return [
      item(
        [{ text: `! NO-ENDPOINT  ${name} has no ready endpoint: no policy is asked`, tone: "bad" }],
        { kind: "trace", open, words },
        [{ text: "Enter sends the packet all the same", indent: 4 }],
      ),
    ];
  }
  return answers.flatMap((answer, index) => [
    ...(index === 0 ? [] : [heading("")]),
    ...answerItems(open, answer, words),
  ]);
}

function answerItems(open: OpenWorld, answer: WhyAnswer, words: string): readonly Item[] {
  const { flow, verdict, sides, traps, fixes, dialect, assumed } = answer;
  const [word, tone] = WORDS[verdict.outcome];
  const pair = `${endpointName(flow.source)} -> ${endpointName(flow.destination)} ${probeName(flow)}`;
  const notes: readonly Detail[] = [
    ...traps.map((text) => ({ text: `note: ${text}`, indent: 4 })),
    ...(assumed.length === 0
      ? []
      : [{ text: `dialect ${dialect.name}: ${assumed.join("; ")}`, indent: 4 }]),
  ];
  return [
    item(
      [{ text: word, tone }, `  ${pair}   Enter: its trace`],
      { kind: "trace", open, words },
      notes,
    ),
    ...sides.flatMap(sideItems),
    ...fixItems(open, fixes, words, verdict.outcome === "deny"),
  ];
}

function sideItems(side: SideExplanation): readonly Item[] {
  const { direction, subject, verdict } = side;
  const [word, tone] = WORDS[verdict.outcome];
  const node = subject.kind === "pod" && subject.node !== undefined ? ` on ${subject.node}` : "";
  const { reason } = verdict;
  const shown = reason.kind === "allowed-by" || reason.kind === "denied-no-rule";
  return [
    item(
      [
        { text: `${direction} of ${endpointName(subject)}${node}`, tone: "title" },
        `  ${sideText(side)}  `,
        { text: word, tone },
      ],
      undefined,
    ),
    ...side.cluster.map(stepItem),
    ...(shown ? side.policies.flatMap((policy) => policyItems(policy, direction)) : []),
    ...(verdict.outcome === "deny" ? side.dormant.map((one) => dormantItem(one, direction)) : []),
  ];
}

function policyItems(
  { policy, place, rules }: PolicyExplanation,
  direction: string,
): readonly Item[] {
  const name = policyName(policy);
  if (rules.length === 0)
    return [
      item(`  ${name}  ${placeText(place)}`, { kind: "source", place }, [
        { text: `has no ${direction} rules: it allows nothing`, indent: 8 },
      ]),
    ];
  return rules.map((rule) => ruleItem(name, rule));
}

function ruleItem(policy: string, { ref, place, text, matches, failures }: RuleExplanation): Item {
  return item(
    [
      `  ${policy} rule ${ref.index + 1}  ${placeText(place)}  `,
      { text: matches ? "match" : "no match", tone: matches ? "ok" : undefined },
    ],
    { kind: "source", place },
    [
      { text, indent: 8 },
      ...failures.map((failure): Detail => ({ text: failure, indent: 8, tone: "bad" })),
    ],
  );
}

function stepItem({ ref, place, text, effect, tier }: ClusterStep): Item {
  const what =
    effect === undefined
      ? "no match"
      : effect === "unknown"
        ? "? not known"
        : `${tier} tier: ${effect.toLowerCase()}`;
  return item(`  ${ruleName(ref)}  ${placeText(place)}  ${what}`, { kind: "source", place }, [
    { text, indent: 8 },
  ]);
}

function dormantItem({ policy, place, rules }: PolicyExplanation, direction: string): Item {
  const fits = rules.some(({ matches }) => matches) ? ", one of which would match" : "";
  return item(`  ${policyName(policy)}  ${placeText(place)}`, { kind: "source", place }, [
    {
      text: `has ${direction} rules${fits}, and they are dead: its policyTypes leave the direction out`,
      indent: 8,
    },
  ]);
}

function fixItems(
  open: OpenWorld,
  fixes: readonly Fix[],
  words: string,
  denied: boolean,
): readonly Item[] {
  if (!denied) return [];
  if (fixes.length === 0) return [item("no fix found: nothing that hopwise can write allows it")];
  return [
    heading("fixes, the smallest first, each tried out; Enter: the world with it, asked again"),
    ...fixes.map((fix, index) =>
      item(
        [{ text: `FIX ${index + 1}`, tone: "key" }, `  ${fix.title}: ${fixCounts(fix)}`],
        { kind: "fix", open, words, fix },
        fix.steps.flatMap(stepDetails),
      ),
    ),
  ];
}

function stepDetails(step: Step): readonly Detail[] {
  switch (step.kind) {
    case "patch": {
      const { file, afterLine, remove, insert } = step;
      const where = remove === 0 ? `after line ${afterLine}` : `instead of line ${afterLine + 1}`;
      return [
        { text: `${file}, ${where}:`, indent: 8 },
        ...insert.map((line): Detail => ({ text: `+${line}`, indent: 8, tone: "ok" })),
      ];
    }
    case "new-file":
      return [
        { text: "a new file:", indent: 8 },
        ...step.lines.map((line): Detail => ({ text: `+${line}`, indent: 8, tone: "ok" })),
      ];
    case "command":
      return [{ text: `$ ${step.line}`, indent: 8 }];
    default:
      return step satisfies never;
  }
}
