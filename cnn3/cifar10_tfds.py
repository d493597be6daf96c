

def _decode(root: Path, part: str, records: list[Path]) -> Split:
    import tensorflow_datasets as tfds
    from PIL import Image

    try:
        source = tfds.data_source(
            f"cifar10:{VERSION}",
            split=part,
            data_dir=root,
            download=False,
            decoders={"image": tfds.decode.SkipDecoding()},  # type: ignore[reportCallIssue]
            builder_kwargs={"file_format": "array_record"},
        )
        rows = source.__getitems__(range(len(source)))
        # Pillow, not TFDS, which prefers OpenCV where that is installed: JPEG decoders differ
        images = np.stack([np.asarray(Image.open(io.BytesIO(row["image"]))) for row in rows])
        decoded = Split(images, np.array([row["label"] for row in rows], np.int32))
        _check_counts(part, decoded)
    except Exception as error:  # what array_record, TFDS or Pillow makes of damaged bytes is not documented
        names = ", ".join(map(str, records))
        folder = records[0].parent
        raise DataError(
            f"cannot read {names} ({_first_line(error)}): remove {folder} to have it prepared anew, or {ELSEWHERE}"
        ) from error
    return decoded


# --- TFDS: preparing records


def _prepare(root: Path, folder: Path) -> None:
    """Have TFDS write the records of CIFAR-10, whole or not at all.

    Raises:
        DataError: it cannot be done; what was begun is removed.
    """
    if folder.exists():
        raise DataError(f"{folder} lacks dataset_info.json: remove it to have it prepared anew, or {ELSEWHERE}")
    base = next(path for path in (folder.parent, root, *root.absolute().parents) if path.exists())
    if not _is_writable(base):
        raise DataError(f"cifar10 is not prepared in {root}, and {base} is not writable: {ELSEWHERE}; {OFFLINE}")
    try:
        with _leaving_nothing_begun(root):
            _builder(root).download_and_prepare(download_config=_download_config())
    except DataError:
        raise
    except Exception as error:
        if _is_prepared(folder):
            return  # another process was faster
        if os.strerror(errno.ENOSPC) in str(error):
            raise DataError(
                f"the disk of {root} is full: cifar10 needs 500 MB there; free them, or {ELSEWHERE}"
            ) from error
        raise DataError(f"cannot prepare cifar10 in {root} ({_first_line(error)}): mend that, or {ELSEWHERE}") from error


@contextmanager
def _leaving_nothing_begun(root: Path) -> Iterator[None]:
    """Remove the partial downloads and empty folders that TFDS leaves behind when it fails."""
    downloads = root / "downloads"
    folders = downloads / "extracted", downloads / "cifar10", downloads, root / "cifar10", root
    new = [path for path in folders if not path.exists()]
    partial = set(downloads.glob("cifar10/*.tmp.*"))
    try:
        yield
    except BaseException:
        for path in set(downloads.glob("cifar10/*.tmp.*")) - partial:
            shutil.rmtree(path, ignore_errors=True)
        for path in new:
            with suppress(OSError):
                path.rmdir()
        raise


def _download_config() -> Any:
    import tensorflow_datasets as tfds

    return tfds.download.DownloadConfig(try_download_gcs=False)


def _builder(root: Path) -> Any:
    """Return TFDS's builder of CIFAR-10, but for the two steps that need TensorFlow: opening files, encoding images."""
    import tensorflow_datasets as tfds
    from PIL import Image

    class Cifar10(tfds.image_classification.Cifar10, skip_registration=True):
        """CIFAR-10 with the names, keys and order of TFDS's own."""

        VERSION = tfds.core.Version(VERSION)

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
            info = self._cifar_info
            with tarfile.open(_fetch(root, info.url, dl_manager)) as archive:
                content = {
                    Path(member.name).name: archive.extractfile(member).read()  # type: ignore[reportOptionalMemberAccess]
                    for member in archive
                    if member.isfile() and member.name.startswith(info.prefix)
                }
            self.info.features["label"].names = content[info.label_files[0]].decode().split()
            return {
                part: self._generate_examples(f"{part}_", [content[name] for name in names])
                for part, names in (("train", info.train_files), ("test", info.test_files))
            }

        def _generate_examples(self, split_prefix: str, filepaths: list[bytes]) -> Iterator[tuple[int, dict]]:
            rows = np.frombuffer(b"".join(filepaths), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
            for index, row in enumerate(rows):
                encoded = io.BytesIO()
                Image.fromarray(row[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(encoded, "PNG")
                yield index, {"id": f"{split_prefix}{index:05d}", "image": encoded.getvalue(), "label": row[0]}

    return Cifar10(data_dir=root, file_format="array_record")


def _fetch(root: Path, url: str, dl_manager: Any) -> Path:
    """Return where CIFAR-10's archive is, once its checksum is known to be the one registered with TFDS.

    Raises:
        DataError: it cannot be had, or is not the one registered.
    """
    import requests
    from tensorflow_datasets.core.download import DownloadError, checksums
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    expected = checksums.get_all_url_infos()[url]
    manual = root / "downloads" / "manual"
    by_hand = f"put {expected.filename} in {manual}, or {ELSEWHERE}; {OFFLINE}"

    def verify(path: Path) -> None:
        found = checksums.compute_url_info(path)
        if found != expected:
            raise DataError(
                f"{path} has {int(found.size)} bytes and SHA-256 {found.checksum}, not the {int(expected.size)} bytes and "
                f"{expected.checksum} of {url}: remove it to have it downloaded anew"
            )

    if (manual / expected.filename).exists():
        verify(manual / expected.filename)
    try:
        with _timeouts():
            path = Path(dl_manager.download(url))
    except NonMatchingChecksumError as error:
        raise DataError(f"what {url} sent has not the checksum registered with TFDS: try again later, or {by_hand}") from error
    except (requests.RequestException, DownloadError) as error:
        raise DataError(
            f"cifar10 is not prepared in {root}, and {url} cannot be downloaded ({_first_line(_root_cause(error))}): {by_hand}"
        ) from error
    verify(path)
    return path


@contextmanager
def _timeouts() -> Iterator[None]:
    """Let TFDS give up on a silent host: it has no option for that, waits for ever, and tries for minutes."""
    from tensorflow_datasets.core.download import downloader

    open_url, retries = downloader._open_url, downloader.MAX_RETRIES
    downloader._open_url = functools.partial(open_url, timeout=TIMEOUTS)
    downloader.MAX_RETRIES = 0
    try:
        yield
    finally:
        downloader._open_url, downloader.MAX_RETRIES = open_url, retries


def _root_cause(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
