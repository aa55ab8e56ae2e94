import { ContainerClient, newPipeline, StorageSharedKeyCredential } from '@azure/storage-blob';

import type { AzuriteServer } from '../../support/azurite-server.ts';
import type { RepositoryFiles } from './s3-buckets.ts';

/** The containers of Azurite's account, prepared for tests. */
export class Containers {
  readonly #server: AzuriteServer;
  readonly #ca: string;
  #count = 0;

  constructor(server: AzuriteServer, ca: string) {
    this.#server = server;
    this.#ca = ca;
  }

  async make(): Promise<string> {
    const name = `probe-${process.pid}-${(this.#count += 1)}`;
    await this.#client(name).create();
    return name;
  }

  /** Uploads the files of a repository. */
  async putRepository(container: string, files: RepositoryFiles, prefix = ''): Promise<void> {
    for (const [name, bytes] of files) {
      const blob = this.#client(container).getBlockBlobClient(prefix === '' ? name : `${prefix}/${name}`);
      await blob.upload(bytes, bytes.length);
    }
  }

  async namesIn(container: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.#client(container).listBlobsFlat()) names.push(name);
    return names;
  }

  /** Connects by the IP address, as the test host name exists in the prober's lookup only. */
  #client(container: string): ContainerClient {
    const { port, account, keys } = this.#server;
    const options = { retryOptions: { maxTries: 1 }, tlsOptions: { ca: this.#ca } };
    const pipeline = newPipeline(new StorageSharedKeyCredential(account, keys[0]), options);
    return new ContainerClient(`https://127.0.0.1:${port}/${account}/${container}`, pipeline);
  }
}
