// Evaluates expressions with GitHub's own package. Each line of stdin is a question, each line of stdout its answer:
//   {"contexts": {…}, "success": true, "text": "…"}       → {"value": "the text with every ${{ }} filled in"}
//   {"contexts": {…}, "success": true, "condition": "…"}  → {"value": whether a job or step with this `if:` runs}
// What cannot be evaluated is {"error": "…"}.
import { createInterface } from "node:readline";
import { Evaluator, Lexer, Parser, data } from "@actions/expressions";
import { ensureStatusFunction } from "@actions/workflow-parser/model/converter/if-condition";

const statuses = ["success", "failure", "always", "cancelled"];

function evaluate(expression, { contexts, success }) {
  // Nobody cancels a run on this machine.
  const status = { success, failure: !success, always: true, cancelled: false };
  const functions = statuses.map((name) => ({ name, minArgs: 0, maxArgs: 0, call: () => new data.BooleanData(status[name]) }));
  const tree = new Parser(new Lexer(expression).lex().tokens, Object.keys(contexts), functions).parse();
  const known = JSON.parse(JSON.stringify(contexts), data.reviver);
  return new Evaluator(tree, known, new Map(functions.map((each) => [each.name, each]))).evaluate();
}

function fill(text, question) {
  const pieces = text.split("${{");
  return pieces.slice(1).reduce((filled, piece) => {
    const end = piece.indexOf("}}");
    if (end < 0) throw new Error(`no end of the expression in ${text}`);
    return filled + evaluate(piece.slice(0, end), question).coerceString() + piece.slice(end + 2);
  }, pieces[0]);
}

function holds(condition, question) {
  const expression = condition.trim().replace(/^\$\{\{(.*)\}\}$/s, "$1").trim();
  const allowed = { allowedContext: [...Object.keys(question.contexts), ...statuses.map((name) => `${name}(0,0)`)] };
  const value = evaluate(ensureStatusFunction(expression, allowed), question);
  return value.coerceString() !== "" && !["false", "0"].includes(value.coerceString());
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const question = JSON.parse(line);
    answer = { value: question.condition === undefined ? fill(question.text, question) : holds(question.condition, question) };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
