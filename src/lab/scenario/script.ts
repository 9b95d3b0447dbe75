import type { ScenarioRecording, StepRecording } from "../../core/scenario-recording.js";
import type { TraceEvent } from "../../core/trace.js";
import { type Lab, usesIpv6 } from "../lab.js";
import { commandLines, labScript, makeNamespace, netnsName } from "../shell.js";

/**
 * A scenario as a POSIX shell script for a real Linux: the lab that it begins with, and then each step's commands in
 * their order, with what is to be sent between them as comments. Programs are not started: `nc` or a server of your own.
 */
export function scenarioScript(lab: Lab, recording: ScenarioRecording): string {
  const events = recording.steps.flatMap(eventsOf);
  const later = events.flatMap((event) => {
    const made = namespaceOf(event);
    return made?.action === "created" ? [made.ns] : [];
  });
  const ipv6 = usesIpv6(lab);
  const steps = recording.steps.flatMap((step) => stepLines(step, ipv6));
  return `${labScript(lab, { later: [...new Set(later)] })}${steps.join("\n")}\n`;
}

function eventsOf({ before, events }: StepRecording): readonly TraceEvent[] {
  return [...before, ...events];
}

function stepLines(step: StepRecording, ipv6: boolean): readonly string[] {
  const { number, title, from, sent } = step;
  const time = (from / 1_000_000).toFixed(3);
  return [
    "",
    `# step ${number}, ${time} s: ${oneLine(title)}`,
    ...eventsOf(step).flatMap((event) => eventLines(event, ipv6)),
    ...(sent === undefined ? [] : [`# ${sentText(sent)}`]),
  ];
}

function eventLines(event: TraceEvent, ipv6: boolean): readonly string[] {
  const made = namespaceOf(event);
  if (made !== undefined) {
    const name = netnsName(made.ns);
    return made.action === "created" ? makeNamespace(name, ipv6) : [`ip netns del ${name}`];
  }
  // What only looks decides nothing: the commands that follow from it stand here.
  if (event.kind !== "command" || event.argv.includes("-L")) return [];
  const { ns, argv, stdin, code } = event;
  const lines = commandLines({ ns, argv, stdin }, "");
  return code === 0 ? lines : [`# exit code ${code}:`, ...lines.map((line) => `# ${line}`)];
}

/** A pod's namespace that comes or goes with this event. */
function namespaceOf(
  event: TraceEvent,
): { readonly ns: string; readonly action: string } | undefined {
  if (event.kind !== "object" || !event.object.startsWith("namespace ")) return undefined;
  return { ns: event.object.slice("namespace ".length), action: event.action };
}

function sentText({ recording: { request } }: NonNullable<StepRecording["sent"]>): string {
  const { protocol, sourceNs, sourcePort, address = "", port } = request;
  const from = sourcePort === 0 ? sourceNs : `${sourceNs} port ${sourcePort}`;
  return `send now: ${protocol.toUpperCase()} from ${from} to ${address}${port === 0 ? "" : `:${port}`}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
