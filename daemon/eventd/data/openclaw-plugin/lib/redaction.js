/**
 * Secrets are made unreadable before anything leaves OpenClaw: found by their shape, and replaced by markers
 * that nobody takes for the secret itself, such as `[redacted:github-token]`.
 *
 * Kinds and shapes are those of `eventd.redaction`, so that what was recorded and what was imported look alike.
 */

/** @param {string} kind @returns {string} What stands in place of a secret. */
const marker = (kind) => `[redacted:${kind}]`;

const PEM = String.raw`(?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----`;
// Whatever stands before one of them: AWS_SECRET_ACCESS_KEY, PGPASSWORD, clientSecret.
const WORDS = 'password|passwd|passphrase|pwd|secret|token|(?:api|access|private|secret|signing|encryption)[_-]?key';
// The value of a password: to the end of the word, of what is quoted, or of a JSON text. No marker of ours, no
// placeholder or reference to where the value is kept, and nothing that has a kind of its own.
const OTHERS = /^(?:sk-|[rs]k_|gh[pousr]_|github_pat_|xox[abeoprs]-|AKIA|ASIA|AIza|glpat-|npm_|eyJ|-----BEGIN)/;
const VALUE = String.raw`(?!\[redacted:)(?![<$%*{(\[])[^\s"'\x60,;|<>\\]{6,256}`;
const QUOTES = String.raw`["'\x60*]{0,3}`;

// Shape by kind; earlier ones have precedence. A group `value`, at the end, is the secret in it, else all of it is.
// Each begins with something rare and looks behind that afterwards: so most of a text is passed over at once.
const SHAPES = [
  ['private-key', new RegExp(
    String.raw`-----BEGIN ${PEM}[^"'\x60]{0,16384}?-----END ${PEM}`
    + String.raw`|-----BEGIN ${PEM}(?:\\n|[A-Za-z0-9+/=\s]){0,16384}`, 'g',
  )],
  ['github-token', /\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})\b/g],
  ['anthropic-key', /\bsk-ant-[A-Za-z0-9_-]{16,255}/g],
  ['openai-key', /\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,255}/g],
  ['stripe-key', /\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}\b/g],
  ['slack-token', /\bxox[abeoprs]-[A-Za-z0-9-]{10,255}/g],
  ['aws-key', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g],
  ['google-key', /\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g],
  ['gitlab-token', /\bglpat-[A-Za-z0-9_-]{20,255}/g],
  ['npm-token', /\bnpm_[A-Za-z0-9]{36}\b/g],
  ['telegram-token', /\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])/g],
  ['jwt', /\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}/g],
  ['url-password', new RegExp(
    String.raw`://(?<=\b[a-z][a-z0-9+.-]{1,20}://)[^\s/:@"'<>]{0,128}:`
    + String.raw`(?<value>(?!\[redacted:)[^\s/@"'<>]{1,256})(?=@)`, 'g',
  )],
  ['bearer-token', /\bbearer[ \t]+(?<value>(?!\[redacted:)[A-Za-z0-9._~+/-]{16,4096}=*)/gi],
  ['password', new RegExp(
    String.raw`(?:${WORDS})${QUOTES}[ \t]{0,3}[:=][ \t]{0,3}${QUOTES}(?<value>${VALUE})`, 'gi',
  )],
];

// A field whose whole text is a secret: what a shape shows in a text, the name of the field shows here.
const SECRET_FIELD = new RegExp(`(?:${WORDS})$`, 'i');
const SECRET_VALUE = new RegExp(`^${VALUE}$`);

export class Redaction {
  #own;

  /**
   * @param {{name: string, pattern: string}[]} own Further shapes, of the configuration; they go first.
   * @param {(text: string) => void} complain Is told which of them cannot be used.
   */
  constructor(own = [], complain = () => {}) {
    this.#own = own.flatMap(({ name, pattern }) => {
      try {
        return [[name, new RegExp(pattern, 'g')]];
      } catch (error) {
        complain(`the redaction pattern ${name} cannot be used: ${error.message}`);
        return [];
      }
    });
  }

  /** @param {string} text @returns {string} */
  text(text) {
    for (const [kind, shape] of this.#own) text = text.replace(shape, marker(kind));
    const parts = [];
    let at = 0;
    for (const { begin, start, end, kind } of secretsIn(text)) {
      if (begin < at) continue; // within another one
      parts.push(text.slice(at, start), marker(kind));
      at = end;
    }
    return parts.join('') + text.slice(at);
  }

  /**
   * @param {string} name Of a field.
   * @param {string} text That it holds.
   * @returns {string}
   */
  field(name, text) {
    const isSecret = SECRET_FIELD.test(name) && SECRET_VALUE.test(text) && !OTHERS.test(text);
    return isSecret ? marker('password') : this.text(text);
  }
}

/** Return where the shapes are in a text, in its order: where each begins, and what in it is secret. */
function secretsIn(text) {
  const found = SHAPES.flatMap(([kind, shape]) => Array.from(text.matchAll(shape), (match) => {
    const value = match.groups?.value ?? match[0];
    const end = match.index + match[0].length;
    return { kind, value, begin: match.index, start: end - value.length, end };
  })).filter(({ kind, value }) => kind !== 'password' || !OTHERS.test(value));
  return found.sort((one, other) => one.begin - other.begin); // stable: the first kind goes first
}
