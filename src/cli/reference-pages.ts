import { DROP_REASONS } from "../core/drop.js";
import { DROP_REASON_TEXTS } from "../view/drop-reasons.js";
import { extensionsPage } from "./extensions-page.js";
import { filterPage } from "./filter-page.js";

/** A document that is made from a registry: `scripts/generate-docs.mjs` writes it, a test says when it is stale. */
export interface ReferencePage {
  readonly path: string;
  render(): string;
}

export const referencePages: readonly ReferencePage[] = [
  { path: "docs/drop-reasons.md", render: dropReasonsPage },
  { path: "docs/extensions.md", render: extensionsPage },
  { path: "docs/filter.md", render: filterPage },
];

function dropReasonsPage(): string {
  const rows = DROP_REASONS.map((reason) => {
    const { condition, cause, look } = DROP_REASON_TEXTS[reason];
    return `| ${[`\`${reason}\``, condition, cause, look].map(escapeCell).join(" | ")} |`;
  });
  return `# Why a packet dies

Every packet ends once: delivered, or dropped for one of these reasons. They are the kernel's (\`enum skb_drop_reason\`,
without the prefix); \`hopwise explain REASON\` prints the same text. This page is generated from \`src/view/drop-reasons.ts\`
by \`node scripts/generate-docs.mjs\`.

| reason | exact condition | usual cause | where to look |
|---|---|---|---|
${rows.join("\n")}
`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}
