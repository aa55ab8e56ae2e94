import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIELD_IDS, PROVIDERS, fieldOf } from '../../../src/providers/registry.ts';
import { PROVIDER_IDS } from '../../../src/providers/common-fields.ts';

describe('PROVIDERS', () => {
  it('maps each provider by its id, which is a reserved one', () => {
    for (const [id, provider] of PROVIDERS) {
      assert.equal(provider.id, id);
      assert.ok(PROVIDER_IDS.includes(id));
    }
  });

  it("has no field twice in a provider, and derives rclone's options from existing fields", () => {
    for (const { fields, rclone } of PROVIDERS.values()) {
      const ids = fields.map((field) => field.id);
      assert.equal(new Set(ids).size, ids.length);
      for (const field of Object.values(rclone.fromFields)) assert.ok(ids.includes(field));
    }
  });

  it('reads every secret without echo', () => {
    for (const field of [...PROVIDERS.values()].flatMap((provider) => provider.fields)) {
      if (field.isSecret) assert.notEqual(field.input, 'text', field.id);
      else assert.notEqual(field.input, 'password', field.id);
    }
  });

  it('sets no variable from two fields', () => {
    for (const { fields } of PROVIDERS.values()) {
      const variables = fields.flatMap((field) => field.variables);
      assert.equal(new Set(variables).size, variables.length);
    }
  });

  it("has four required fields per provider, of which the machine's identity never replaces repository or password", () => {
    const required: Readonly<Record<string, readonly string[]>> = {
      aws: ['backup_repo', 'access_key', 'secret_key', 'backup_password'],
      minio: ['backup_repo', 'access_key', 'secret_key', 'backup_password'],
      s3: ['backup_repo', 'access_key', 'secret_key', 'backup_password'],
      azure: ['backup_repo', 'account_name', 'account_key', 'backup_password'],
      google: ['backup_repo', 'project_id', 'service_account', 'backup_password'],
    };
    assert.deepEqual([...PROVIDERS.keys()], Object.keys(required));
    for (const { id, fields } of PROVIDERS.values()) {
      const needed = fields.filter((field) => field.isRequired);
      assert.deepEqual(
        needed.map((field) => field.id),
        required[id],
      );
      const replaced = fields.filter((field) => field.isReplacedByIdentity === true);
      assert.ok(replaced.some((field) => field.isSecret));
      assert.ok(replaced.every((field) => !field.id.startsWith('backup_')));
    }
  });

  it('takes its own examples', () => {
    for (const { fields } of PROVIDERS.values()) {
      for (const { id, example, check } of fields) {
        if (example !== undefined) assert.equal(check?.(example), undefined, id);
      }
    }
  });

  it("lists the identity's variables among the contradicting ones, and none twice", () => {
    for (const { contradicting, identity } of PROVIDERS.values()) {
      assert.equal(new Set(contradicting).size, contradicting.length);
      assert.ok(identity.every((name) => contradicting.includes(name)));
    }
  });
});

describe('FIELD_IDS', () => {
  it('has every field once, the longest first', () => {
    const ids = new Set([...PROVIDERS.values()].flatMap((provider) => provider.fields.map((field) => field.id)));
    assert.deepEqual(new Set(FIELD_IDS), ids);
    assert.equal(FIELD_IDS.length, ids.size);
    const lengths = FIELD_IDS.map((id) => id.length);
    assert.deepEqual(
      lengths,
      lengths.toSorted((a, b) => b - a),
    );
  });

  it('has only fields in which a name can end', () => {
    for (const id of FIELD_IDS) assert.match(id, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
  });
});

describe('FIELD_IDS as endings of names', () => {
  it('are unambiguous: none ends in another', () => {
    for (const id of FIELD_IDS) assert.ok(!FIELD_IDS.some((other) => id.endsWith(`_${other}`)), id);
  });
});

describe('fieldOf()', () => {
  it("returns the given provider's field", () => {
    for (const provider of PROVIDERS.values()) {
      for (const field of provider.fields) assert.equal(fieldOf(field.id, provider), field);
    }
  });

  it('returns the field of the first provider that has it, if no provider is given', () => {
    for (const id of FIELD_IDS) {
      const first = [...PROVIDERS.values()].flatMap((provider) => provider.fields).find((field) => field.id === id);
      assert.equal(fieldOf(id, undefined), first);
    }
  });

  it('returns undefined for an unknown field', () => {
    for (const id of ['', 'key', 'Access_key', 'constructor'])
      assert.equal(fieldOf(id, PROVIDERS.get('aws')), undefined);
  });
});
