// Lists the buckets of the endpoint in S3_ENDPOINT with the credentials that the SDK finds by itself: once at the
// start, and again with a new client for each line of standard input.
import { createInterface } from 'node:readline';
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';

async function list() {
  const client = new S3Client({
    endpoint: process.env['S3_ENDPOINT'],
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
  });
  try {
    const { Buckets = [] } = await client.send(new ListBucketsCommand());
    return Buckets.map(({ Name }) => Name).join(' ');
  } catch (error) {
    return error.name;
  }
}

process.stdout.write(`${await list()}\n`);
for await (const _line of createInterface({ input: process.stdin })) process.stdout.write(`${await list()}\n`);
