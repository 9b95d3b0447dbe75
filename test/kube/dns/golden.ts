import { readFileSync } from "node:fs";
import { Simulation } from "../../../src/core/simulation.js";
import {
  AnswerTable,
  tableUpstream,
  type AnswerReply,
} from "../../../src/kube/dns/answer-table.js";
import { parseCorefile } from "../../../src/kube/dns/corefile.js";
import { DnsServer, type DnsAnswer } from "../../../src/kube/dns/dns-server.js";
import type { KubernetesView } from "../../../src/kube/dns/kubernetes-view.js";
import { formatRecord, newQuery } from "../../../src/kube/dns/messages.js";
import { parseRecord } from "../../../src/kube/dns/zone-file.js";
import { later, seconds } from "../../../src/sim/time.js";
import type { DnsMessage, DnsRecord, Edns } from "../../../src/wire/dns-message.js";

/** test/golden/coredns.json: recordings of CoreDNS 1.14.7 and its own test tables; `meta` in the file says which and how. */
export interface Golden {
  readonly objectSets: Readonly<Record<string, ObjectSet>>;
  readonly cases: readonly QueryCase[];
  readonly corefileCases: readonly CorefileCase[];
}

type ObjectSet = Partial<
  Pick<KubernetesView, "namespaces" | "services" | "pods" | "endpointSlices" | "serviceImports">
>;

interface GoldenEdns {
  readonly size?: number;
  readonly do?: boolean;
  readonly version?: number;
  readonly options?: readonly { readonly code: number; readonly data: string }[];
}

interface GoldenQuery {
  readonly name: string;
  readonly type: string;
  readonly class?: string;
  readonly source?: string;
  readonly proto?: "udp" | "tcp";
  readonly rd?: boolean;
  readonly cd?: boolean;
  readonly ad?: boolean;
  readonly edns?: GoldenEdns;
  readonly authority?: readonly string[];
}

interface GoldenReply {
  readonly rcode?: string;
  readonly aa?: boolean;
  readonly tc?: boolean;
  readonly ra?: boolean;
  readonly ad?: boolean;
  readonly answer?: readonly string[];
  readonly authority?: readonly string[];
  readonly additional?: readonly string[];
  readonly edns?: GoldenEdns;
  readonly drop?: boolean;
}

export interface Expected {
  readonly rcode: string;
  readonly flags: readonly string[];
  readonly question: string;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  readonly edns?: GoldenEdns;
}

export interface QueryCase {
  readonly id: string;
  readonly group: string;
  readonly tags: readonly string[];
  readonly corefile: string;
  readonly objects?: string | ObjectSet;
  readonly files?: Readonly<Record<string, string>>;
  readonly upstreams?: readonly {
    readonly address: string;
    readonly rules: readonly {
      name?: string;
      type?: string;
      proto?: "udp" | "tcp";
      nth?: number;
      reply: GoldenReply;
    }[];
    readonly default?: GoldenReply;
  }[];
  readonly env?: { readonly localIPs?: readonly string[]; readonly synced?: boolean };
  readonly prelude?: readonly { readonly query: GoldenQuery; readonly wait?: number }[];
  readonly query: GoldenQuery;
  readonly expect: Expected & {
    readonly noResponse?: boolean;
    readonly ordered?: boolean;
    readonly log?: readonly string[];
    readonly upstreamQueries?: readonly string[];
    readonly extraReplies?: number;
  };
}

export interface CorefileCase {
  readonly id: string;
  readonly plugin?: string;
  readonly corefile: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly expect: {
    readonly ok?: boolean;
    readonly error?: string;
    readonly errorContains?: string;
  };
}

export const golden: Golden = JSON.parse(
  readFileSync(new URL("../../golden/coredns.json", import.meta.url), "utf8"),
);

/** The serial that the recordings have where a clock made it. */
const serial = 1_499_347_823;

/** What a case gave, in the form of its expectation. */
export interface Outcome {
  readonly replies: readonly Expected[];
  readonly unknown: string | undefined;
  readonly log: readonly string[];
  readonly upstreamQueries: readonly string[];
}

export function runCase(item: QueryCase, seed = 1): Outcome {
  const sim = new Simulation({ seed, pernet: [] });
  const asked: string[] = [];
  const log: string[] = [];
  const tables = (item.upstreams ?? []).map(
    (upstream) =>
      new AnswerTable({
        address: upstream.address,
        rules: upstream.rules.map((rule) => ({ ...rule, reply: replyOf(rule.reply) })),
        otherwise: upstream.default === undefined ? undefined : replyOf(upstream.default),
      }),
  );
  const inner = tableUpstream(
    tables,
    (request, action) => void sim.queue.after(request.timeout, "timeout", action),
  );
  const server = new DnsServer({
    sim,
    name: "coredns",
    corefile: parseCorefile(item.corefile, "Corefile", {
      files: new Map(Object.entries(item.files ?? {})),
    }),
    files: new Map(Object.entries(item.files ?? {})),
    upstream: {
      exchange(request, then) {
        const [question] = request.message.questions;
        asked.push(`${request.server} ${request.proto} ${question?.name} ${question?.type}`);
        inner.exchange(request, then);
      },
    },
    kubernetes: viewOf(item),
    localAddresses: item.env?.localIPs ?? ["10.244.0.2"],
    hostname: "hostname",
    log: (line) => void log.push(line),
  });
  for (const { query, wait } of item.prelude ?? []) {
    askServer(sim, server, query);
    sim.runUntilIdle(later(sim.queue.now, seconds(wait ?? 0)));
  }
  asked.length = 0;
  log.length = 0;
  const answer = askServer(sim, server, item.query);
  return {
    replies: (answer?.replies ?? []).map((reply) => shown(reply.message)),
    unknown: answer === undefined ? "no answer came" : answer.unknown,
    log: [...log],
    upstreamQueries: [...asked],
  };
}

function askServer(sim: Simulation, server: DnsServer, query: GoldenQuery): DnsAnswer | undefined {
  let answer: DnsAnswer | undefined;
  const { address, port } = sourceOf(query.source ?? "10.240.0.1:40212");
  server.ask(messageOf(query), { address, port, proto: query.proto ?? "udp" }, (value) => {
    answer = value;
  });
  for (let steps = 0; answer === undefined && steps < 10_000 && sim.step(); steps++);
  return answer;
}

function sourceOf(text: string): { readonly address: string; readonly port: number } {
  const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(text);
  const bare = match === null || (text.includes("::") && !text.startsWith("["));
  return bare
    ? { address: text, port: 40_212 }
    : { address: match[1] ?? "", port: Number(match[2]) };
}

function messageOf(query: GoldenQuery): DnsMessage {
  return {
    ...newQuery(query.name, query.type, {
      id: 4711,
      rd: query.rd ?? true,
      edns: ednsOf(query.edns),
    }),
    questions: [{ name: query.name, type: query.type, class: query.class ?? "IN" }],
    cd: query.cd ?? false,
    ad: query.ad ?? false,
    authorities: (query.authority ?? []).map(recordOf),
  };
}

function ednsOf(edns: GoldenEdns | undefined): Edns | undefined {
  if (edns === undefined) return undefined;
  const options = (edns.options ?? []).map(({ code, data }) => ({
    code,
    data: Uint8Array.from(Buffer.from(data, "hex")),
  }));
  return { udpSize: edns.size ?? 4096, version: edns.version ?? 0, do: edns.do ?? false, options };
}

function replyOf(reply: GoldenReply): AnswerReply {
  const { rcode = "NOERROR", aa = false, tc = false, ra = false, ad = false, drop } = reply;
  const records = (list: readonly string[] | undefined): DnsRecord[] => (list ?? []).map(recordOf);
  const fields: Partial<DnsMessage> = {
    rcode,
    aa,
    tc,
    ra,
    ad,
    answers: records(reply.answer),
    authorities: records(reply.authority),
    additionals: records(reply.additional),
    edns: ednsOf(reply.edns),
  };
  return { drop, fields };
}

function recordOf(text: string): DnsRecord {
  const named = text.startsWith("$NAME ");
  const record = parseRecord(named ? `name.invalid. ${text.slice(6)}` : text);
  if (record === undefined)
    throw new Error(`the golden file has a record that is not read: ${text}`);
  return named ? { ...record, name: "$NAME" } : record;
}

function viewOf(item: QueryCase): KubernetesView | undefined {
  if (item.objects === undefined) return undefined;
  const set = typeof item.objects === "string" ? golden.objectSets[item.objects] : item.objects;
  return {
    synced: item.env?.synced ?? true,
    serial,
    namespaces: set?.namespaces ?? [],
    services: set?.services ?? [],
    endpointSlices: set?.endpointSlices ?? [],
    pods: set?.pods ?? [],
    serviceImports: set?.serviceImports,
  };
}

function shown(message: DnsMessage): Expected {
  const flags = (["aa", "tc", "rd", "ra", "ad", "cd"] as const).filter((flag) => message[flag]);
  const [question] = message.questions;
  const { edns } = message;
  const base = {
    rcode: message.rcode,
    flags,
    question: `${question?.name} ${question?.class} ${question?.type}`,
    answer: message.answers.map(formatRecord),
    authority: message.authorities.map(formatRecord),
    additional: message.additionals.map(formatRecord),
  };
  return edns === undefined
    ? base
    : {
        ...base,
        edns: { size: edns.udpSize, do: edns.do, options: edns.options.map(shownOption) },
      };
}

function shownOption(option: { readonly code: number; readonly data: Uint8Array }): {
  code: number;
  data: string;
} {
  const data = Buffer.from(option.data);
  if (option.code !== 15) return { code: option.code, data: data.toString("hex") };
  return { code: 15, data: `${data.readUInt16BE(0)} ${data.subarray(2).toString("utf8")}` };
}
