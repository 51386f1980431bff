// Holds workflow files to what GitHub's own language service knows of workflows: their schema, the contexts and functions
// that each place may use, the inputs and outputs of the workflows they call and of the actions they use.
// Prints a line for each finding. Usage: lint.mjs ACTIONS.json DIRECTORY, with the workflows in DIRECTORY/.github/workflows.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

const [actions, root] = process.argv.slice(2);
const known = JSON.parse(readFileSync(actions, "utf8"));
const config = {
  fileProvider: {
    getFileContent: async ({ path }) => ({ name: path, content: readFileSync(join(root, path), "utf8") }),
  },
  actionsMetadataProvider: {
    fetchActionMetadata: async ({ owner, name }) => {
      const inputs = known[`${owner}/${name}`];
      return inputs && { name, inputs: Object.fromEntries(inputs.map((input) => [input, {}])) };
    },
  },
};

const directory = ".github/workflows";
for (const name of readdirSync(join(root, directory)).sort()) {
  const path = join(directory, name);
  const text = readFileSync(join(root, path), "utf8");
  const findings = await validate(TextDocument.create(`file:///${path}`, "yaml", 0, text), config);
  for (const { range, message } of findings) console.log(`${path}:${range.start.line + 1}: ${message}`);
}
