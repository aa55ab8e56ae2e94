import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIELD_IDS, PROVIDERS, fieldOf } from '../../../src/providers/registry.ts';
import { PROVIDER_IDS } from '../../../src/providers/s3-fields.ts';

describe('PROVIDERS', () => {
  it('knows each provider by its own id, which is reserved for it', () => {
    for (const [id, provider] of PROVIDERS) {
      assert.equal(provider.id, id);
      assert.ok(PROVIDER_IDS.includes(id));
    }
  });

  it('has no field twice in a provider, and takes rclone options from fields that it has', () => {
    for (const { fields, rclone } of PROVIDERS.values()) {
      const ids = fields.map((field) => field.id);
      assert.equal(new Set(ids).size, ids.length);
      for (const field of Object.values(rclone.fromFields)) assert.ok(ids.includes(field));
    }
  });

  it('asks for every secret without echo', () => {
    for (const field of [...PROVIDERS.values()].flatMap((provider) => provider.fields)) {
      if (field.isSecret) assert.notEqual(field.input, 'text', field.id);
      else assert.equal(field.input, 'text', field.id);
    }
  });

  it('sets no variable from two fields', () => {
    for (const { fields } of PROVIDERS.values()) {
      const variables = fields.flatMap((field) => field.variables);
      assert.equal(new Set(variables).size, variables.length);
    }
  });

  it('needs the four credentials of Storidge, and no other', () => {
    for (const { fields } of PROVIDERS.values()) {
      const required = fields.filter((field) => field.isRequired).map((field) => field.id);
      assert.deepEqual(required, ['backup_repo', 'access_key', 'secret_key', 'backup_password']);
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

  it('has no field that a name could not end in', () => {
    for (const id of FIELD_IDS) assert.match(id, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
  });
});

describe('fieldOf()', () => {
  it('goes by the provider where there is one', () => {
    for (const provider of PROVIDERS.values()) {
      for (const field of provider.fields) assert.equal(fieldOf(field.id, provider), field);
    }
  });

  it('goes by the first provider that has the field where there is none', () => {
    for (const id of FIELD_IDS) {
      const first = [...PROVIDERS.values()].flatMap((provider) => provider.fields).find((field) => field.id === id);
      assert.equal(fieldOf(id, undefined), first);
    }
  });

  it('knows nothing of other fields', () => {
    for (const id of ['', 'key', 'Access_key', 'constructor'])
      assert.equal(fieldOf(id, PROVIDERS.get('aws')), undefined);
  });
});
