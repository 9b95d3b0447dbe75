import * as v from "valibot";
import { parseHex } from "../wire/bytes.js";
import { decodeFrame, type Frame } from "../wire/frame.js";
import { formatFrame } from "../wire/format-frame.js";
import { type UserErrorDetails, throwCollected, UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { parseDocuments } from "../kube/load/documents.js";
import { type FieldPath, SourceText } from "../kube/load/source-text.js";
import type { LabCommand } from "../tools/command.js";
import {
  formatMac,
  IPV4_ANY,
  IPV6_ANY,
  isIpv4Multicast,
  isIpv6Multicast,
  type Mac,
  parseIpv4,
  parseIpv6,
} from "../wire/ip.js";
import { splitCommandLine } from "./command-line.js";
import type { GroupOnDevice, Lab, Listener, Probe } from "./lab.js";

const endpoint = v.pipe(v.string(), v.regex(/^[\w./-]+:[\w.-]+$/, "expected NAMESPACE:DEVICE"));
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const protocol = v.picklist(["tcp", "udp", "icmp"]);
const commandList = v.pipe(
  v.array(
    v.record(
      v.string(),
      v.union([v.string(), v.strictObject({ run: v.string(), stdin: v.string() })]),
    ),
  ),
  v.maxLength(100_000),
);

const labSchema = v.strictObject({
  lab: v.pipe(
    v.string(),
    v.regex(/^[a-z0-9][a-z0-9-]*$/, "expected a short name of a-z, 0-9 and -"),
  ),
  about: v.optional(v.string(), ""),
  namespaces: v.pipe(
    v.array(v.pipe(v.string(), v.regex(/^[\w.-]+$/, "expected a name of letters, digits, . _ -"))),
    v.minLength(1),
    v.maxLength(1_000),
  ),
  links: v.optional(v.pipe(v.array(v.strictTuple([endpoint, endpoint])), v.maxLength(10_000)), []),
  commands: v.optional(commandList, []),
  listen: v.optional(
    v.array(
      v.record(
        v.string(),
        v.pipe(
          v.string(),
          v.regex(
            /^((tcp|udp)6?\/\d+( transparent| reuseport)?|tcp6?\/\d+ keepalive|tcp6?\/\d+ backlog \d{1,4}|udp6?\/\d+(@[\w.:]+%[\w.-]+)+)$/,
            "expected tcp/PORT, udp/PORT, tcp6/PORT or udp6/PORT; udp may join groups: udp/PORT@GROUP%DEVICE",
          ),
        ),
      ),
    ),
    [],
  ),
  probes: v.optional(
    v.array(
      v.strictObject({
        from: v.string(),
        to: v.optional(v.string()),
        port: v.optional(port, 0),
        proto: v.optional(protocol, "tcp"),
        sport: v.optional(port, 0),
        data: v.optional(v.string(), "hello"),
        lines: v.optional(v.pipe(v.array(v.string()), v.maxLength(100))),
        keepalive: v.optional(v.boolean()),
        hold: v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(60))),
        ttl: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255))),
        wait: v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(60))),
        dev: v.optional(v.string()),
        frame: v.optional(v.pipe(v.string(), v.maxLength(20_000))),
        says: v.optional(v.string()),
        join: v.optional(v.string()),
      }),
    ),
    [],
  ),
  show: v.optional(commandList, []),
});

type LabText = v.InferOutput<typeof labSchema>;

/**
 * Reads a lab file: YAML with `lab`, `namespaces`, `links`, `commands`, `listen`, `probes` and `show` (docs/labs.md).
 * Throws UserError or UserErrors, each with its place.
 */
export function parseLab(file: string, text: string): Lab {
  const source = new SourceText(file, text);
  const documents = parseDocuments(source).filter((document) => document !== null);
  if (documents.length !== 1)
    throw new UserError(
      "LAB_SYNTAX",
      `a lab file holds one document, this one ${documents.length}`,
      { place: source.placeAt(0) },
    );
  const parsed = v.safeParse(labSchema, documents[0]);
  if (!parsed.success) throwCollected(parsed.issues.map((issue) => schemaError(source, issue)));
  const lab = v.parse(labSchema, documents[0]);
  const at = (path: FieldPath): UserErrorDetails => source.details(0, path, "value");
  const errors: UserError[] = [];
  const known = new Set(lab.namespaces);
  const check = (ns: string, path: FieldPath): void => {
    if (known.has(ns)) return;
    const near = nearest(ns, known);
    errors.push(
      new UserError("LAB_NAMESPACE", `no namespace "${ns}" in this lab`, {
        ...at(path),
        help: near === undefined ? "name it under namespaces" : `did you mean "${near}"?`,
      }),
    );
  };
  const commands = [
    ...lab.links.map((link, index) => linkCommands(link, index, { at, check })).flat(),
    ...labCommands(lab, "commands", { at, check }),
  ];
  const show = labCommands(lab, "show", { at, check });
  const listeners = lab.listen.flatMap((entry, index) =>
    Object.entries(entry).map(([ns, what]) => listener(ns, what, ["listen", index], { at, check })),
  );
  const probes = lab.probes.map((probe, index) =>
    probeOf(probe, ["probes", index], errors, { at, check }),
  );
  throwCollected(errors);
  return {
    name: lab.lab,
    about: lab.about,
    namespaces: lab.namespaces,
    commands,
    listeners,
    probes,
    ...(show.length === 0 ? {} : { show }),
  };
}

type Check = (ns: string, path: FieldPath) => void;

/** What readers of one field ask: where it stands, and whether its namespace is there. */
interface Reading {
  readonly at: (path: FieldPath) => UserErrorDetails;
  readonly check: Check;
}

/** A veth pair between two namespaces, both ends up. The MACs count the links, so that runs compare. */
function linkCommands(
  [a, b]: readonly [string, string],
  index: number,
  { at, check }: Reading,
): readonly LabCommand[] {
  const { place } = at(["links", index]);
  const ends = [a, b].map((text, side) => {
    const colon = text.indexOf(":");
    const ns = text.slice(0, colon);
    check(ns, ["links", index, side]);
    return {
      ns,
      dev: text.slice(colon + 1),
      mac: formatMac((0x0200_0000_0000 + (index + 1) * 256 + side + 1) as Mac),
    };
  });
  const [first, second] = ends;
  if (first === undefined || second === undefined) return [];
  return [
    {
      ns: undefined,
      argv: [
        "ip",
        "link",
        "add",
        first.dev,
        "address",
        first.mac,
        "netns",
        first.ns,
        "type",
        "veth",
        "peer",
        "name",
        second.dev,
        "address",
        second.mac,
        "netns",
        second.ns,
      ],
      place,
    },
    ...ends.map(({ ns, dev }) => ({ ns, argv: ["ip", "link", "set", dev, "up"], place })),
  ];
}

function labCommands(
  lab: LabText,
  field: "commands" | "show",
  { at, check }: Reading,
): readonly LabCommand[] {
  return lab[field].flatMap((entry, index) =>
    Object.entries(entry).map(([ns, what]) => {
      const path = [field, index, ns];
      check(ns, path);
      const details = at(path);
      const line = typeof what === "string" ? what : what.run;
      return {
        ns,
        argv: splitCommandLine(line, details),
        place: details.place,
        ...(typeof what === "string"
          ? {}
          : { stdin: what.stdin, stdinName: `${lab.lab}/${ns}.rules` }),
      };
    }),
  );
}

function listener(ns: string, what: string, path: FieldPath, { at, check }: Reading): Listener {
  check(ns, [...path, ns]);
  const [words = "", ...joined] = what.split("@");
  const [head = "", option, backlog] = words.split(" ");
  const [protocolName = "tcp", number = "0"] = head.split("/");
  const details = at([...path, ns]);
  const groups = joined.map((text) => groupOnDevice(text, details));
  return {
    ns,
    protocol: protocolName.startsWith("udp") ? "udp" : "tcp",
    port: Number(number),
    address: protocolName.endsWith("6") ? IPV6_ANY : IPV4_ANY,
    ...(groups.length === 0 ? {} : { groups }),
    ...(option === "transparent" ? { transparent: true } : {}),
    ...(option === "reuseport" ? { reusePort: true } : {}),
    ...(option === "keepalive" ? { keepAlive: true } : {}),
    ...(backlog === undefined ? {} : { backlog: Number(backlog) }),
    place: details.place,
  };
}

/** `239.1.2.3%eth0`. Throws a UserError for another text. */
function groupOnDevice(text: string, details: UserErrorDetails): GroupOnDevice {
  const [address = "", device = ""] = text.split("%");
  const group = parseIpv4(address) ?? parseIpv6(address);
  const isGroup =
    group !== undefined &&
    (typeof group === "number" ? isIpv4Multicast(group) : isIpv6Multicast(group));
  if (!isGroup || device === "")
    throw new UserError("LAB_ADDRESS", `"${text}" is not GROUP%DEVICE`, details);
  return { group, device };
}

function probeOf(
  probe: LabText["probes"][number],
  path: FieldPath,
  errors: UserError[],
  { at, check }: Reading,
): Probe {
  check(probe.from, [...path, "from"]);
  const common = {
    ns: probe.from,
    port: probe.port,
    sourcePort: probe.sport,
    data: probe.data,
    ...(probe.lines === undefined ? {} : { lines: probe.lines }),
    ttl: probe.ttl,
    ...(probe.keepalive === undefined ? {} : { keepAlive: probe.keepalive }),
    ...(probe.hold === undefined ? {} : { hold: probe.hold }),
    ...(probe.wait === undefined ? {} : { wait: probe.wait }),
  };
  if (probe.frame !== undefined) {
    const frame = readFrame(probe.frame, probe.says, at([...path, "frame"]));
    if (probe.dev === undefined)
      throw new UserError("LAB_FIELD", "a frame needs the device it leaves by: dev", at(path));
    return { ...common, protocol: "frame", address: IPV4_ANY, device: probe.dev, frame };
  }
  if (probe.join !== undefined) {
    const { group, device } = groupOnDevice(probe.join, at([...path, "join"]));
    return { ...common, protocol: "join", address: group, device };
  }
  const [to = "", device] = (probe.to ?? "").split("%");
  const address = parseIpv4(to) ?? parseIpv6(to);
  if (address === undefined)
    errors.push(
      new UserError(
        "LAB_ADDRESS",
        `"${probe.to ?? ""}" is not an IP address`,
        at(probe.to === undefined ? path : [...path, "to"]),
      ),
    );
  return { ...common, protocol: probe.proto, address: address ?? IPV4_ANY, device };
}

/** A frame in hexadecimal, with or without the line that tells what it is. Throws a UserError. */
function readFrame(text: string, says: string | undefined, details: UserErrorDetails): Frame {
  const bytes = parseHex(text);
  if (bytes === undefined)
    throw new UserError("LAB_FRAME", "a frame is bytes in hexadecimal", details);
  const frame = decodeFrame(bytes);
  if (!frame.ok) throw new UserError("LAB_FRAME", `not a frame: ${frame.reason}`, details);
  const line = formatFrame(frame.value);
  if (says !== undefined && says !== line)
    throw new UserError("LAB_FRAME", `the frame is not what it says: it is "${line}"`, details);
  return frame.value;
}

function schemaError(source: SourceText, issue: v.BaseIssue<unknown>): UserError {
  const path = (issue.path ?? []).flatMap((item) =>
    typeof item.key === "string" || typeof item.key === "number" ? [item.key] : [],
  );
  const last = path.at(-1);
  if (issue.type === "strict_object" && issue.expected === "never" && typeof last === "string") {
    const near = nearest(last, Object.keys(labSchema.entries));
    return new UserError("LAB_FIELD", `unknown field "${last}" in a lab`, {
      ...source.details(0, path, "key"),
      help:
        near === undefined
          ? `known fields: ${Object.keys(labSchema.entries).join(", ")}`
          : `did you mean "${near}"?`,
    });
  }
  const field = path.length === 0 ? "a lab" : path.join(".");
  const message = `${field}: ${issue.message}`;
  return new UserError("LAB_FIELD", message, source.details(0, path, "value"));
}
